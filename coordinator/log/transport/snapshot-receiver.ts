import { crc32 } from "node:zlib";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ClusterduckError } from "../../../common/errors.js";
import type { Clock } from "../../../common/clock.js";
import type { CallContext } from "../../../common/grpc/service.js";
import { fromUint64, invalid } from "../../../common/wire/values.js";
import type {
  InstallSnapshotRequest,
  InstallSnapshotResponseSchema,
  SnapshotChunk,
  SnapshotOpening,
} from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import type { MessageOf } from "../../raft/message.js";
import { admit, refuseRemoved } from "./admission.js";
import type { IsRemoved, OwnName } from "./admission.js";
import { decodeMark, decodeTerm } from "./decode-message.js";

type Response = MessageInitShape<typeof InstallSnapshotResponseSchema>;
/** Held in memory while it arrives, and applied from there: a larger one is no state of a tier. */
const SNAPSHOT_BYTES_MAX = 1024 * 1024 * 1024;
/** A sender that is cut off tries again within seconds. One that does not has given up, or leads no more. Milliseconds. */
const PARTIAL_KEPT_MS = 60_000;

type Opening = {
  readonly message: MessageOf<"installSnapshot">;
  readonly bytes: number;
  readonly checksum: number;
};

/** What has arrived of one snapshot. Outlives a broken stream, so that the next one goes on where it ended. */
class PartialSnapshot {
  readonly #chunks: Uint8Array[] = [];
  #opening: Opening;
  #received = 0;

  constructor(opening: Opening) {
    this.#opening = opening;
  }

  get opening(): Opening {
    return this.#opening;
  }

  get received(): number {
    return this.#received;
  }

  get isComplete(): boolean {
    return this.#received === this.opening.bytes;
  }

  /** Goes on under another opening, if that is of the same bytes. Its sender's term may have grown. */
  resume(opening: Opening): boolean {
    const own = this.#opening;
    const isSame =
      own.message.last.index === opening.message.last.index &&
      own.message.last.term === opening.message.last.term &&
      own.bytes === opening.bytes &&
      own.checksum === opening.checksum;
    if (isSame) this.#opening = opening;
    return isSame;
  }

  add({ offset, data, checksum }: SnapshotChunk): void {
    const at = fromUint64(offset, "a chunk's offset");
    if (at !== this.#received) throw invalid(`a chunk is of byte ${at}, expected byte ${this.#received}`);
    if (data.length === 0) throw invalid(`the chunk at byte ${at} is empty`);
    if (at + data.length > this.opening.bytes) {
      throw invalid(`the chunk at byte ${at} ends after the snapshot's ${this.opening.bytes} bytes`);
    }
    if (crc32(data) !== checksum) throw invalid(`the chunk at byte ${at} does not have its checksum`);
    this.#chunks.push(data);
    this.#received += data.length;
  }

  /** @throws ClusterduckError INVALID_ARGUMENT unless the whole is as it was. */
  data(): Uint8Array {
    const whole = Buffer.concat(this.#chunks);
    if (crc32(whole) !== this.opening.checksum) throw invalid("the snapshot does not have its checksum");
    return whole;
  }
}

export type SnapshotReceiverOptions = {
  readonly own: OwnName;
  readonly isRemoved: IsRemoved;
  readonly clock: Clock;
  readonly onSnapshot: (message: MessageOf<"installSnapshot">, data: Uint8Array) => Promise<void>;
};

/** Takes snapshots of other members. Of several streams of one sender the newest counts. */
export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions;
  readonly #partials = new Map<string, PartialSnapshot>();
  readonly #streams = new Map<string, AbortController>();
  /** By sender, what keeps its partial snapshot from being forgotten. */
  readonly #forgetting = new Map<string, () => void>();

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options;
  }

  close(): void {
    for (const cancel of this.#forgetting.values()) cancel();
    this.#forgetting.clear();
    this.#partials.clear();
  }

  /** @throws ClusterduckError for what does not fit; the sender gets to read it. */
  async *receive(
    requests: AsyncIterable<InstallSnapshotRequest>,
    context: CallContext,
  ): AsyncGenerator<Response> {
    let partial: PartialSnapshot | null = null;
    let stream: AbortController | null = null;
    try {
      for await (const { message } of requests) {
        if (message.case === "opening") {
          if (partial !== null) throw invalid("a second opening");
          const opening = this.#open(message.value, context);
          const { from } = opening.message;
          stream = this.#replaceStream(from);
          partial = this.#partialOf(opening);
          yield { message: { case: "resumeOffset", value: BigInt(partial.received) } };
        } else if (message.case === "chunk") {
          if (partial === null) throw invalid("a chunk before the opening");
          if (stream?.signal.aborted === true) throw replaced();
          partial.add(message.value);
        }
        if (partial?.isComplete === true) break;
      }
      if (partial?.isComplete !== true) return;
      const { message } = partial.opening;
      this.#partials.delete(message.from);
      await this.#options.onSnapshot(message, partial.data());
      yield { message: { case: "installed", value: {} } };
    } finally {
      const from = partial?.opening.message.from ?? "";
      if (stream !== null && this.#streams.get(from) === stream) {
        this.#streams.delete(from);
        this.#forgetLater(from);
      }
    }
  }

  #open(wire: SnapshotOpening, context: CallContext): Opening {
    const { from, to } = wire;
    const { own, isRemoved } = this.#options;
    admit(own, wire, context.identity);
    refuseRemoved(from, isRemoved);
    if (wire.mark === undefined) throw invalid("a snapshot without its mark");
    const bytes = fromUint64(wire.bytes, "a snapshot's size");
    if (bytes > SNAPSHOT_BYTES_MAX) {
      throw invalid(`a snapshot has ${bytes} bytes, must have at most ${SNAPSHOT_BYTES_MAX}`);
    }
    const mark = decodeMark(wire.mark);
    const term = decodeTerm(wire.term);
    return { message: { kind: "installSnapshot", from, to, term, ...mark }, bytes, checksum: wire.checksum };
  }

  #replaceStream(from: string): AbortController {
    this.#streams.get(from)?.abort();
    const stream = new AbortController();
    this.#streams.set(from, stream);
    return stream;
  }

  #partialOf(opening: Opening): PartialSnapshot {
    const { from } = opening.message;
    this.#forgetting.get(from)?.();
    this.#forgetting.delete(from);
    const known = this.#partials.get(from);
    const partial = known?.resume(opening) === true ? known : new PartialSnapshot(opening);
    this.#partials.set(from, partial);
    return partial;
  }

  #forgetLater(from: string): void {
    if (!this.#partials.has(from)) return;
    const cancel = this.#options.clock.after(PARTIAL_KEPT_MS, () => {
      this.#forgetting.delete(from);
      this.#partials.delete(from);
    });
    this.#forgetting.set(from, cancel);
  }
}

function replaced(): ClusterduckError {
  return new ClusterduckError("CONFLICT", "Cannot take this snapshot any more: another has been begun");
}
