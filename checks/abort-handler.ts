/** What happens when a signal aborts. Whoever is done sets `handle` to null. */
export type AbortHandler = { handle: (() => void) | null };

const handlers = new WeakMap<AbortSignal, AbortHandler>();

/**
 * The handler of a signal that one run after the other is given: it listens once for all of them, as adding
 * and removing a listener costs more than the rest of a quick run. A signal has one handler, so it is for whoever
 * has the signal to himself, one at a time.
 */
export function abortHandlerOf(signal: AbortSignal): AbortHandler {
  const known = handlers.get(signal);
  if (known !== undefined) return known;
  const handler: AbortHandler = { handle: null };
  handlers.set(signal, handler);
  signal.addEventListener("abort", () => handler.handle?.(), { once: true });
  return handler;
}
