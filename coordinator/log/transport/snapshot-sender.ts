import { crc32 } from "node:zlib";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, ServiceClient } from "../../../common/grpc/service.js";
import { toUint64 } from "../../../common/wire/values.js";
import type { InstallSnapshotRequestSchema, RaftService } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { MessageOf } from "../../raft/message.js";
import { encodeMark } from "./encode-message.js";

type Request = MessageInitShape<typeof InstallSnapshotRequestSchema>;

export const SNAPSHOT_CHUNK_BYTES = 1024 * 1024;

export type OutgoingSnapshot = {
  readonly clusterId: string;
  /** As `OwnName.incarnation`. */
  readonly incarnation?: string;
  readonly message: MessageOf<"installSnapshot">;
  readonly data: Uint8Array;
};

/**
 * Sends a snapshot over one stream, from the byte on that the receiver names. Resolves with whether the
 * receiver says that it has no further need of it.
 * @throws ClusterduckError as the call does.
 */
export async function sendSnapshotOnce(
  call: Pick<ServiceClient<typeof RaftService>, "installSnapshot">,
  snapshot: OutgoingSnapshot,
  options: CallOptions,
): Promise<boolean> {
  let begin: (offset: number) => void = () => undefined;
  const offset = new Promise<number>((resolve) => (begin = resolve));
  const requests = async function* (): AsyncGenerator<Request> {
    yield openingOf(snapshot);
    yield* chunksOf(snapshot.data, await offset);
  };
  for await (const { message } of call.installSnapshot(requests(), options)) {
    if (message.case === "installed") return true;
    if (message.case === "resumeOffset") begin(Number(message.value));
  }
  return false;
}

function openingOf({ clusterId, incarnation = "", message, data }: OutgoingSnapshot): Request {
  const { from, to, term } = message;
  const value = {
    clusterId,
    incarnation,
    from,
    to,
    term: toUint64(term),
    mark: encodeMark(message),
    bytes: toUint64(data.length),
    checksum: crc32(data),
  };
  return { message: { case: "opening", value } };
}

function* chunksOf(data: Uint8Array, from: number): Generator<Request> {
  for (let offset = from; offset < data.length; offset += SNAPSHOT_CHUNK_BYTES) {
    const chunk = data.subarray(offset, offset + SNAPSHOT_CHUNK_BYTES);
    const value = { offset: toUint64(offset), data: chunk, checksum: crc32(chunk) };
    yield { message: { case: "chunk", value } };
  }
}
