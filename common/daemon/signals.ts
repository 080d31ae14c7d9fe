import { constants } from "node:os";

export type StopSignal = "SIGTERM" | "SIGINT";

export type SignalHandlers = {
  /** The first SIGTERM or SIGINT: end gracefully. */
  readonly onStop: (signal: StopSignal) => void;
  /** SIGHUP: read the configuration again. Without it SIGHUP is ignored: a daemon has no terminal to lose. */
  readonly onReload?: () => void;
  /** The second stop signal, whatever it is: now. Default: process.exit. */
  readonly exit?: (code: number) => void;
};

/** Listens to the signals of a daemon. The returned function stops listening. */
export function handleSignals(handlers: SignalHandlers): () => void {
  const exit = handlers.exit ?? ((code: number) => process.exit(code));
  let isStopping = false;
  const onStop = (signal: StopSignal) => {
    // As shells report it: 130 for Ctrl-C, 143 for SIGTERM.
    if (isStopping) return exit(128 + constants.signals[signal]);
    isStopping = true;
    handlers.onStop(signal);
  };
  const onHangUp = () => handlers.onReload?.();
  process.on("SIGTERM", onStop).on("SIGINT", onStop).on("SIGHUP", onHangUp);
  return () => {
    process.off("SIGTERM", onStop).off("SIGINT", onStop).off("SIGHUP", onHangUp);
  };
}
