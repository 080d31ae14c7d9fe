import type { AppliedEntry, Replica } from "../replica.js";
import type { EventRecord } from "../state/model.js";
import { isTypeOf } from "./event-types.js";

export type EventFilter = {
  /** Empty: all clusters. */
  readonly cluster: string;
  /** Empty: all types. */
  readonly types: readonly string[];
};

/** New events waiting for a slow reader; beyond it the reader is told to come again rather than fill our memory. */
const WAITING_MAX = 10_000;

/**
 * The kept events after `sinceIndex`, then, when asked to follow, each new one once and in order.
 * Ends when `signal` aborts, or when the reader falls too far behind: it resumes with the last index it has.
 */
export async function* eventStream(
  replica: Replica,
  request: { readonly sinceIndex: number; readonly follow: boolean; readonly filter: EventFilter },
  signal: AbortSignal,
): AsyncGenerator<EventRecord> {
  const waiting: EventRecord[] = [];
  let wake: (() => void) | null = null;
  let newestIndex = request.sinceIndex;
  const acceptAll = (events: readonly EventRecord[]): void => {
    const fresh = events.filter(({ index }) => index > newestIndex);
    newestIndex = fresh.at(-1)?.index ?? newestIndex;
    waiting.push(...fresh.filter((event) => matches(event, request.filter)));
    wake?.();
  };
  const onAbort = (): void => wake?.();
  // Subscribed before the past is copied, in one turn of the loop: nothing falls between the two.
  const subscriptions = request.follow
    ? [
        replica.onApplied(({ events }: AppliedEntry) => acceptAll(events)),
        // It holds the events of the entries that never came here one by one.
        replica.onReplaced(() => acceptAll(replica.state.events)),
      ]
    : [];
  acceptAll(replica.state.events);
  // The past is bounded, and a late reader has to get through it before it can be called slow.
  const waitingMax = waiting.length + WAITING_MAX;
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    while (!signal.aborted) {
      const next = waiting.shift();
      if (next !== undefined) {
        yield next;
        if (waiting.length > waitingMax) return;
      } else if (!request.follow) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = null;
      }
    }
  } finally {
    for (const unsubscribe of subscriptions) unsubscribe();
    signal.removeEventListener("abort", onAbort);
  }
}

function matches(event: EventRecord, filter: EventFilter): boolean {
  return (
    (filter.cluster === "" || event.cluster === filter.cluster) &&
    (filter.types.length === 0 || filter.types.some((type) => isTypeOf(event.type, type)))
  );
}
