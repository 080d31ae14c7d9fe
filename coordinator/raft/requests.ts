import type { MessageOf, RequestId } from "./message.js";
import type { Self } from "./self.js";

/** Equal for equal requests: the number ends where the first space is, whatever the client's name holds. */
export function requestKey({ client, sequence }: RequestId): string {
  return `${sequence} ${client}`;
}

type Kind = "read" | "proposal";
type Pending = { readonly kind: Kind; readonly request: RequestId; ageTicks: number };

/**
 * What this member has passed on to the leader and has no answer to yet. Each request is sent once; when
 * the leader changes or an election timeout has gone by, it is given up and whoever made it decides. So
 * nothing is proposed for ever.
 */
export class ForwardedRequests {
  readonly #self: Self;
  readonly #pending = new Map<string, Pending>();

  constructor(self: Self) {
    this.#self = self;
  }

  propose(request: RequestId, payload: Uint8Array): void {
    const { leaderId, outbox } = this.#self;
    if (leaderId === null) {
      outbox.endForwarded({ request, outcome: { kind: "refused", reason: "notLeader" } });
    } else {
      this.#add("proposal", request);
      this.#self.send(leaderId, { kind: "propose", request, payload });
    }
  }

  read(request: RequestId): void {
    const { leaderId, outbox } = this.#self;
    if (leaderId === null) {
      outbox.endRead({ request, kind: "failed" });
    } else {
      this.#add("read", request);
      this.#self.send(leaderId, { kind: "readIndex", request });
    }
  }

  onProposeReply({ request, outcome }: MessageOf<"proposeReply">): void {
    if (this.#settle("proposal", request)) this.#self.outbox.endForwarded({ request, outcome });
  }

  onReadIndexReply({ request, index }: MessageOf<"readIndexReply">): void {
    if (!this.#settle("read", request)) return;
    this.#self.outbox.endRead(
      index === null ? { request, kind: "failed" } : { request, kind: "confirmed", index },
    );
  }

  tick(): void {
    const { electionTicks } = this.#self.config;
    for (const pending of this.#pending.values()) pending.ageTicks++;
    this.#giveUp((pending) => pending.ageTicks >= electionTicks);
  }

  /** Whoever was asked does not lead any more. */
  abandon(): void {
    this.#giveUp(() => true);
  }

  #add(kind: Kind, request: RequestId): void {
    this.#pending.set(`${kind} ${requestKey(request)}`, { kind, request, ageTicks: 0 });
  }

  /** Whether the answer is one that is waited for. A second one is not. */
  #settle(kind: Kind, request: RequestId): boolean {
    return this.#pending.delete(`${kind} ${requestKey(request)}`);
  }

  #giveUp(isOver: (pending: Pending) => boolean): void {
    const { outbox } = this.#self;
    for (const [key, pending] of this.#pending) {
      if (!isOver(pending)) continue;
      this.#pending.delete(key);
      const { kind, request } = pending;
      if (kind === "read") outbox.endRead({ request, kind: "failed" });
      else outbox.endForwarded({ request, outcome: { kind: "unknown" } });
    }
  }
}
