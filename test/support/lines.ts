import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Check } from "../../checks/check.js";
import type { Observation } from "../../common/model/observation.js";

/** Both ends of a unix socket, in this process. */
export type Line = { readonly near: Socket; readonly far: Socket };

/**
 * Lines whose service is the test itself: what it writes to the far end lies in the near one's socket when the
 * write returns. A service in another process answers late whenever the machine is busy, and then rightly fails.
 */
export async function openLines(count: number): Promise<{ lines: readonly Line[]; close: () => void }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(join(tmpdir(), `clusterduck-lines-${process.pid}.sock`));
  await once(server, "listening");
  const lines: Line[] = [];
  const close = (): void => {
    for (const { near, far } of lines) for (const end of [near, far]) end.destroy();
    server.close();
  };
  for (let index = 0; index < count; index++) {
    const accepted = once(server, "connection");
    const near = connect(server.address() as string);
    const [far] = (await accepted) as [Socket];
    lines.push({ near: near.resume(), far: far.resume() });
  }
  return { lines, close };
}

/** What became of the looks over some lines. */
export type LineLooks = {
  /** A look over the line has begun. */
  readonly onAsked: (line: Line) => void;
  /** How many were given up before their reply was read. */
  aborted: number;
};

/**
 * A check that waits for the reply on its line: its bytes, or its end. A second look while the reply is
 * overdue says nothing: an answer to it would excuse a timeout that was wrongly believed.
 */
export function lineCheck(line: Line, answer: "data" | "end", looks: LineLooks): Check {
  let isAsked = false;
  return {
    run: (signal) => {
      if (isAsked) return Promise.resolve(NO_WORD);
      isAsked = true;
      return new Promise<Observation>((resolve) => {
        const startedMs = performance.now();
        const finish = (observation: Observation): void => {
          isAsked = false;
          line.near.off(answer, onAnswer);
          signal.removeEventListener("abort", onAbort);
          resolve(observation);
        };
        const onAnswer = (): void => finish({ outcome: "passed", latencyMs: performance.now() - startedMs });
        const onAbort = (): void => {
          looks.aborted += 1;
          finish({ outcome: "failed", reason: "closed", detail: "given up", latencyMs: 0 });
        };
        line.near.once(answer, onAnswer);
        signal.addEventListener("abort", onAbort);
        looks.onAsked(line);
      });
    },
    close: () => void line.near.destroy(),
  };
}

const NO_WORD: Observation = {
  outcome: "inconclusive",
  reason: "slow",
  detail: "the line is in use",
  latencyMs: 0,
};
