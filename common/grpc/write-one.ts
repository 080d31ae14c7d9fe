import type { Writable } from "node:stream";

/**
 * Resolves when the message has left for the network, or the call has ended: a writer that waits for it
 * never has more than one message in memory, and goes at its reader's pace.
 */
export function writeOne(call: Pick<Writable, "write">, bytes: Buffer, ended: AbortSignal): Promise<void> {
  if (ended.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      ended.removeEventListener("abort", done);
      resolve();
    };
    ended.addEventListener("abort", done);
    // grpc-js does not call back once the call has ended.
    call.write(bytes, done);
  });
}
