import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallContext, ServiceClient } from "../../../common/grpc/service.js";
import { VirtualClock } from "../../../common/virtual-clock.js";
import {
  InstallSnapshotRequestSchema,
  InstallSnapshotResponseSchema,
} from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { RaftService } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { MessageOf } from "../../raft/message.js";
import { SnapshotReceiver } from "./snapshot-receiver.js";
import { SNAPSHOT_CHUNK_BYTES, sendSnapshotOnce } from "./snapshot-sender.js";
import type { OutgoingSnapshot } from "./snapshot-sender.js";

type Call = Pick<ServiceClient<typeof RaftService>, "installSnapshot">;
type Request = MessageInitShape<typeof InstallSnapshotRequestSchema>;

const CONTEXT: CallContext = { signal: new AbortController().signal, peer: "c1", identity: null };
const DATA = randomBytes(5.5 * SNAPSHOT_CHUNK_BYTES);

test("a snapshot whose stream breaks goes on where it ended, not from the beginning", async () => {
  const { receiver, installed } = receiverOf("c2");
  const first = connect(receiver, { breaksAfterChunks: 2 });
  const second = connect(receiver, {});

  await assert.rejects(sendSnapshotOnce(first.call, snapshotOf(3), {}), /the cable/);
  const isInstalled = await sendSnapshotOnce(second.call, snapshotOf(3), {});

  assert.equal(isInstalled, true);
  assert.deepEqual(
    second.offsets,
    [2, 3, 4, 5].map((at) => at * SNAPSHOT_CHUNK_BYTES),
  );
  assert.ok(installed.length === 1 && installed[0]?.equals(DATA));
});

test("another snapshot begins from its beginning", async () => {
  const { receiver, installed } = receiverOf("c2");
  const first = connect(receiver, { breaksAfterChunks: 2 });
  const second = connect(receiver, {});

  await assert.rejects(sendSnapshotOnce(first.call, snapshotOf(3), {}), /the cable/);
  await sendSnapshotOnce(second.call, snapshotOf(4, Buffer.from("newer")), {});

  assert.deepEqual(second.offsets, [0]);
  assert.deepEqual(installed.map(String), ["newer"]);
});

test("a chunk that was changed on its way is refused, and nothing is installed", async () => {
  const { receiver, installed } = receiverOf("c2");
  const damaging = connect(receiver, {
    change: (request) => {
      if (request.message?.case !== "chunk") return request;
      const data = Buffer.from(request.message.value.data ?? []);
      data[7] = (data[7] ?? 0) ^ 1;
      return { message: { case: "chunk", value: { ...request.message.value, data } } };
    },
  });

  await assert.rejects(sendSnapshotOnce(damaging.call, snapshotOf(3), {}), {
    code: "INVALID_ARGUMENT",
    message: /the chunk at byte 0 does not have its checksum/,
  });
  assert.deepEqual(installed, []);
});

test("what a sender does not go on with is forgotten in time, and not before", async () => {
  const { receiver, clock } = receiverOf("c2");
  const begin = async (): Promise<readonly number[]> => {
    const { call, offsets } = connect(receiver, { breaksAfterChunks: 2 });
    await assert.rejects(sendSnapshotOnce(call, snapshotOf(3), {}), /the cable/);
    return offsets.map((offset) => offset / SNAPSHOT_CHUNK_BYTES);
  };

  const first = await begin();
  await clock.advance(30_000);
  const second = await begin();
  await clock.advance(59_000);
  await clock.advance(2_000);
  const third = await begin();

  assert.deepEqual(
    [first, second, third],
    [
      [0, 1],
      [2, 3],
      [0, 1],
    ],
  );
});

test("a snapshot that no tier can have is refused before anything of it is taken", async () => {
  const { receiver } = receiverOf("c2");
  const { call, offsets } = connect(receiver, {
    change: (request) =>
      request.message?.case === "opening"
        ? { message: { case: "opening", value: { ...request.message.value, bytes: 2n ** 40n } } }
        : request,
  });

  await assert.rejects(sendSnapshotOnce(call, snapshotOf(3), {}), {
    code: "INVALID_ARGUMENT",
    message: /a snapshot has 1099511627776 bytes, must have at most 1073741824/,
  });
  assert.deepEqual(offsets, []);
});

function receiverOf(memberId: string) {
  const clock = new VirtualClock();
  const installed: Buffer[] = [];
  const receiver = new SnapshotReceiver({
    own: { memberId, clusterId: "t" },
    isRemoved: () => false,
    clock,
    onSnapshot: async (_message, data) => void installed.push(Buffer.from(data)),
  });
  return { receiver, installed, clock };
}

/** A connection to the receiver, which may break or change what it carries. */
function connect(
  receiver: SnapshotReceiver,
  { breaksAfterChunks = Infinity, change = (request: Request) => request },
) {
  const offsets: number[] = [];
  async function* carried(requests: AsyncIterable<Request>) {
    for await (const request of requests) {
      if (request.message?.case === "chunk") {
        if (offsets.length === breaksAfterChunks) throw new Error("the cable was pulled");
        offsets.push(Number(request.message.value.offset));
      }
      yield create(InstallSnapshotRequestSchema, change(request));
    }
  }
  const call: Call = {
    installSnapshot: async function* (requests) {
      for await (const answer of receiver.receive(carried(requests), CONTEXT))
        yield create(InstallSnapshotResponseSchema, answer);
    },
  };
  return { call, offsets };
}

function snapshotOf(index: number, data: Uint8Array = DATA): OutgoingSnapshot {
  const membership = [{ id: "c1", role: "voter", address: "" }] as const;
  const message: MessageOf<"installSnapshot"> = {
    from: "c1",
    to: "c2",
    term: 3,
    kind: "installSnapshot",
    last: { index, term: 2 },
    membership,
  };
  return { clusterId: "t", message, data };
}
