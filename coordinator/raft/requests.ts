import type { RequestId } from "./message.js";

/** Equal for equal requests: the number ends where the first space is, whatever the client's name holds. */
export function requestKey({ client, sequence }: RequestId): string {
  return `${sequence} ${client}`;
}

type Pending = { readonly kind: "read" | "proposal"; readonly request: RequestId; ageTicks: number };

/**
 * What this member has passed on to the leader and has no answer to yet. Each request is sent once; when
 * the leader changes or `maxTicks` have gone by, it is given up and whoever made it decides. So nothing is
 * proposed for ever.
 */
export class ForwardedRequests {
  readonly #maxTicks: number;
  readonly #pending = new Map<string, Pending>();

  constructor(maxTicks: number) {
    this.#maxTicks = maxTicks;
  }

  add(kind: Pending["kind"], request: RequestId): void {
    this.#pending.set(keyOf(kind, request), { kind, request, ageTicks: 0 });
  }

  /** Whether the answer is one that is waited for. A second one is not. */
  settle(kind: Pending["kind"], request: RequestId): boolean {
    return this.#pending.delete(keyOf(kind, request));
  }

  /** Returns what has waited too long. */
  tick(): readonly Pending[] {
    for (const pending of this.#pending.values()) pending.ageTicks++;
    return this.#take((pending) => pending.ageTicks >= this.#maxTicks);
  }

  /** Returns everything: whoever was asked does not lead any more. */
  abandon(): readonly Pending[] {
    return this.#take(() => true);
  }

  #take(isTaken: (pending: Pending) => boolean): readonly Pending[] {
    const taken = [...this.#pending].filter(([, pending]) => isTaken(pending));
    for (const [key] of taken) this.#pending.delete(key);
    return taken.map(([, pending]) => pending);
  }
}

function keyOf(kind: Pending["kind"], request: RequestId): string {
  return `${kind} ${requestKey(request)}`;
}
