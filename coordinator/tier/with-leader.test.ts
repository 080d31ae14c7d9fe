import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterduckError } from "../../common/errors.js";
import { VirtualClock } from "../../common/virtual-clock.js";
import type { Leadership } from "../log/replicated-log.js";
import type { TierCalls } from "./peers.js";
import { withLeader } from "./with-leader.js";
import type { LeaderCall } from "./with-leader.js";

/** A log whose leader a test names, and calls that end as it says. */
class Bench {
  readonly clock = new VirtualClock();
  readonly asked: string[] = [];
  answers: Readonly<Record<string, (signal: AbortSignal) => Promise<string>>> = {};
  #leaderId: string | null;
  readonly #listeners = new Set<(now: Leadership) => void>();

  constructor(leaderId: string | null) {
    this.#leaderId = leaderId;
  }

  lead(leaderId: string | null): void {
    this.#leaderId = leaderId;
    for (const listener of [...this.#listeners]) listener(this.#leadership());
  }

  call(changes: Partial<LeaderCall<string>> = {}): Promise<string> {
    let asking = "";
    return withLeader(
      {
        log: {
          leadership: () => this.#leadership(),
          onLeadership: (listener) => {
            this.#listeners.add(listener);
            return () => this.#listeners.delete(listener);
          },
        },
        peers: {
          to: (id) => {
            asking = id;
            return {} as TierCalls;
          },
        },
        clock: this.clock,
        noLeader: () => new ClusterduckError("UNREACHABLE", "No leader"),
      },
      {
        local: async () => "here",
        remote: (_leader, signal) => {
          this.asked.push(asking);
          return this.answers[asking]?.(signal) ?? Promise.resolve(`by ${asking}`);
        },
        isRepeatable: false,
        isChange: true,
        patienceMs: 4_000,
        signal: new AbortController().signal,
        ...changes,
      },
    );
  }

  #leadership(): Leadership {
    return { leaderId: this.#leaderId, term: 1, isLeader: this.#leaderId === "c1" };
  }
}

const fails =
  (code: "NOT_LEADER" | "UNREACHABLE" | "NOT_FOUND", message: string) => async (): Promise<string> => {
    throw new ClusterduckError(code, message);
  };

test("it is done here by the leader, and by the leader for everybody else", async () => {
  assert.equal(await new Bench("c1").call(), "here");
  assert.equal(await new Bench("c2").call(), "by c2");
});

test("an election is waited for, and its end is a clear error", async () => {
  const bench = new Bench(null);
  const answer = bench.call();
  await bench.clock.advance(1_500);
  bench.lead("c3");
  await bench.clock.advance(200);
  assert.equal(await answer, "by c3");

  const never = assert.rejects(new Bench(null).call({ patienceMs: 0 }), {
    code: "UNREACHABLE",
    message: "No leader",
  });
  await never;
});

test("a refusal, or no connection, means that nothing happened: the next leader is asked", async () => {
  for (const refuse of [
    fails("NOT_LEADER", "Not the leader any more"),
    fails("UNREACHABLE", "Cannot reach 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1"),
  ]) {
    const bench = new Bench("c2");
    bench.answers = { c2: refuse };
    const answer = bench.call();
    await bench.clock.advance(50);
    bench.lead("c3");
    await bench.clock.advance(200);
    assert.equal(await answer, "by c3");
  }
});

test("a change whose leader went away in the middle is not made twice; a question is asked again", async () => {
  const bench = new Bench("c2");
  bench.answers = { c2: fails("UNREACHABLE", "Cannot reach c2: Connection dropped") };
  await assert.rejects(bench.call(), {
    code: "OUTCOME_UNKNOWN",
    message: /"c2", went away .* may or may not have happened/,
  });
  assert.deepEqual(bench.asked, ["c2"]);

  const question = bench.call({ isRepeatable: true, isChange: false });
  await bench.clock.advance(50);
  bench.lead("c3");
  await bench.clock.advance(200);
  assert.equal(await question, "by c3");
});

test("a leader that stands still is not waited for once another leads", async () => {
  const bench = new Bench("c2");
  bench.answers = {
    c2: (signal) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      ),
  };
  const change = assert.rejects(bench.call(), { message: /may or may not have happened/ });
  const question = bench.call({ isRepeatable: true, isChange: false });
  await bench.clock.advance(2_000);
  bench.lead("c3");
  await bench.clock.advance(1_500);

  await change;
  assert.equal(await question, "by c3");
});

test("a leader that has lost its majority is not waited for, though it is this one", async () => {
  const bench = new Bench("c1");
  const change = assert.rejects(bench.call({ local: () => new Promise(() => undefined) }), {
    code: "OUTCOME_UNKNOWN",
    message: /"c1", went away .* may or may not have happened/,
  });
  await bench.clock.advance(1_000);
  bench.lead(null);
  await bench.clock.advance(1_500);

  await change;
});

test("a leader that leads again has as long as it needs", async () => {
  const bench = new Bench("c1");
  let answer = (_text: string): void => undefined;
  const change = bench.call({ local: () => new Promise((resolve) => (answer = resolve)) });
  bench.lead(null);
  await bench.clock.advance(500);
  bench.lead("c1");
  await bench.clock.advance(5_000);
  answer("late");

  assert.equal(await change, "late");
});

test("a change that can be recognised is made again where the next one leads, and its end is told for what it is", async () => {
  const bench = new Bench("c2");
  bench.answers = { c2: fails("UNREACHABLE", "Cannot reach c2: Connection dropped") };
  const repeated = bench.call({ isRepeatable: true });
  await bench.clock.advance(50);
  bench.lead("c3");
  await bench.clock.advance(200);
  assert.equal(await repeated, "by c3");
  assert.deepEqual(bench.asked, ["c2", "c3"]);

  bench.lead("c2");
  const lost = assert.rejects(bench.call({ isRepeatable: true }), {
    code: "OUTCOME_UNKNOWN",
    message: /"c2", went away .* may or may not have happened/,
  });
  await bench.clock.advance(50);
  bench.lead(null);
  await bench.clock.advance(5_000);
  await lost;
});

test("what an earlier attempt may still do is prevented before a later one's answer counts", async () => {
  for (const isRefused of [false, true]) {
    const bench = new Bench("c2");
    const refused = fails("NOT_FOUND", "There is no such node");
    bench.answers = { c2: fails("UNREACHABLE", "Connection dropped"), ...(isRefused ? { c3: refused } : {}) };
    const concluded: boolean[] = [];
    const conclude = async (_end: unknown, wasLost: boolean): Promise<void> => void concluded.push(wasLost);
    const call = bench.call({ isRepeatable: true, conclude });
    const ended = isRefused
      ? assert.rejects(call, { code: "NOT_FOUND" })
      : call.then((answer) => assert.equal(answer, "by c3"));
    await bench.clock.advance(50);
    bench.lead("c3");
    await bench.clock.advance(200);

    await ended;
    assert.deepEqual(concluded, [true]);
  }
});

test("where that cannot be prevented, the outcome is unknown", async () => {
  const bench = new Bench("c2");
  const conclude = fails("UNREACHABLE", "No leader");

  await assert.rejects(bench.call({ isRepeatable: true, conclude: () => conclude().then(() => undefined) }), {
    code: "OUTCOME_UNKNOWN",
  });
});
