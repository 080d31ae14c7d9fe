import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterduckError } from "../common/errors.js";
import type { CallOptions } from "../common/grpc/service.js";
import { askQuestion } from "./ask-question.js";

/** As a process that is stopped: it answers nothing until the call's time is over, or the call is. */
function standsStill({ timeoutMs = Infinity, signal }: CallOptions): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      reject(new ClusterduckError("TIMED_OUT", "No answer"));
    };
    const timer = setTimeout(end, Math.min(timeoutMs, 60_000));
    signal?.addEventListener("abort", end, { once: true });
  });
}

test("beside a server that stands still the next one is asked, and the first one's call ends with the answer", async () => {
  const signals: (AbortSignal | undefined)[] = [];

  const answer = await askQuestion({
    servers: 2,
    ask: (turn, call) => {
      signals.push(call.signal);
      return turn === 0 ? standsStill(call) : Promise.resolve("here");
    },
    options: { timeoutMs: 30_000 },
  });

  assert.equal(answer, "here");
  assert.deepEqual(
    signals.map((signal) => signal?.aborted),
    [true, true],
  );
});

test("one that is slow has all the time there is while the others are asked", async () => {
  let answer: (text: string) => void = () => undefined;

  const asked = askQuestion({
    servers: 2,
    ask: (turn) => {
      if (turn === 0) return new Promise((resolve) => (answer = resolve));
      queueMicrotask(() => answer("late"));
      return Promise.reject(new ClusterduckError("UNREACHABLE", "connect ECONNREFUSED"));
    },
    options: undefined,
  });

  assert.equal(await asked, "late");
});

test("that there is no leader tells more than that others did not answer in time, whoever was asked first", async () => {
  const noLeader = new ClusterduckError("UNREACHABLE", "No leader in term 5", { hint: "Start c1" });
  for (const living of [0, 2]) {
    const answer = askQuestion({
      servers: 3,
      ask: (turn, call) => (turn === living ? Promise.reject(noLeader) : standsStill(call)),
      options: { timeoutMs: 2_500 },
    });

    await assert.rejects(answer, noLeader);
  }
});

test("a refusal is an answer: nobody else is asked", async () => {
  const turns: number[] = [];

  const answer = askQuestion({
    servers: 3,
    ask: (turn) => {
      turns.push(turn);
      return Promise.reject(new ClusterduckError("NOT_FOUND", "There is no such node"));
    },
    options: undefined,
  });

  await assert.rejects(answer, { code: "NOT_FOUND" });
  assert.deepEqual(turns, [0]);
});
