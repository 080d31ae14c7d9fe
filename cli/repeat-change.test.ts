import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterduckError } from "../common/errors.js";
import { repeatChange } from "./repeat-change.js";
import type { Change } from "./repeat-change.js";

const REFUSED = () => new ClusterduckError("UNREACHABLE", "Cannot reach s: connect ECONNREFUSED 127.0.0.1:1");
const BROKEN = () => new ClusterduckError("UNREACHABLE", "Cannot reach s: Connection dropped");
const NO_QUORUM = () => new ClusterduckError("UNREACHABLE", "No leader", { hint: "Start those" });

/** Servers that answer in turn what a test says: an error, or that it is done. */
function bench(answers: readonly (ClusterduckError | "done")[], changes: Partial<Change> = {}) {
  const ids: (string | undefined)[] = [];
  const turns = { count: 0, questions: 0 };
  const change: Change = {
    attempt: async ({ requestId }) => {
      ids.push(requestId);
      const answer = answers[ids.length - 1] ?? "done";
      if (answer === "done") return answer;
      throw answer;
    },
    hasRequestId: true,
    servers: 3,
    next: () => void turns.count++,
    knowsRequests: async () => {
      turns.questions++;
      return true;
    },
    hasLeader: async () => true,
    options: { timeoutMs: 5_000 },
    ...changes,
  };
  return { ids, turns, answer: () => repeatChange(change) };
}

test("a change whose connection broke is made again at the next server, under the same id", async () => {
  const { ids, turns, answer } = bench([BROKEN(), REFUSED(), BROKEN(), "done"]);

  assert.equal(await answer(), "done");

  assert.match(ids[0] ?? "", /^[0-9A-Z]{26}$/);
  assert.deepEqual(new Set(ids).size, 1);
  assert.deepEqual([ids.length, turns.count, turns.questions], [4, 3, 1]);
});

test("an election that lasts is waited for, as nothing has happened yet", async () => {
  const electing = new ClusterduckError("NOT_LEADER", "An election is under way", { hint: "Ask again" });
  const { turns, answer } = bench([electing, electing, electing, electing, "done"]);

  assert.equal(await answer(), "done");
  assert.equal(turns.questions, 0);
});

test("where no server is there, or none has a majority, that is said at once", async () => {
  const nobody = bench([REFUSED(), REFUSED(), REFUSED()]);
  await assert.rejects(nobody.answer(), { code: "UNREACHABLE", message: /ECONNREFUSED/ });
  assert.equal(nobody.ids.length, 3);

  const alone = bench([NO_QUORUM(), REFUSED(), REFUSED()]);
  await assert.rejects(alone.answer(), { code: "UNREACHABLE", message: "No leader" });
  assert.equal(alone.ids.length, 3);

  const lost = bench([NO_QUORUM()], { hasLeader: async () => false });
  await assert.rejects(lost.answer(), { code: "UNREACHABLE", message: "No leader" });
  assert.equal(lost.ids.length, 1);
});

test("a server that is cut off, or was removed, is passed over", async () => {
  const removed = new ClusterduckError("NOT_LEADER", "c1 was removed", { hint: "Ask another" });
  for (const first of [NO_QUORUM(), removed]) {
    const { ids, turns, answer } = bench([first, "done"], { servers: 2 });
    assert.equal(await answer(), "done");
    assert.deepEqual([ids.length, turns.count, turns.questions], [2, 1, 0]);
  }
  // Without a request id as well: nothing has happened.
  const { ids, answer } = bench([NO_QUORUM(), "done"], { servers: 2, hasRequestId: false });
  assert.equal(await answer(), "done");
  assert.deepEqual(ids, [undefined, undefined]);
});

test("after an election that fails, nobody is asked to make it who knows no leader", async () => {
  const electing = new ClusterduckError("NOT_LEADER", "An election is under way", { hint: "Ask again" });
  let looked = 0;
  const { ids, turns, answer } = bench([electing, "done"], { hasLeader: async () => ++looked > 4 });
  assert.equal(await answer(), "done");
  assert.deepEqual([ids.length, turns.count], [2, 5]);

  const never = bench([electing], {
    hasLeader: async () => {
      throw new ClusterduckError("TIMED_OUT", "No answer from s in time");
    },
    options: { timeoutMs: 700 },
  });
  await assert.rejects(never.answer(), { code: "NOT_LEADER" });
  assert.equal(never.ids.length, 1);
});

test("a change that is not answered in time may have happened, unless nobody has got it", async () => {
  const late = () => new ClusterduckError("TIMED_OUT", "No answer from s in time");
  const { answer } = bench([late()], { options: { timeoutMs: 100 } });
  await assert.rejects(answer(), {
    code: "OUTCOME_UNKNOWN",
    message: "No answer from s in time to this change: it may or may not have happened",
    hint: /duckctl events/,
  });

  const unsent = new ClusterduckError("TIMED_OUT", "No answer from s: no connection in time");
  await assert.rejects(bench([unsent], { options: { timeoutMs: 100 } }).answer(), { code: "TIMED_OUT" });
});

test("a tier that would not recognise it is not asked twice", async () => {
  for (const changes of [{ knowsRequests: async () => false }, { hasRequestId: false }]) {
    const { ids, answer } = bench([BROKEN(), "done"], changes);
    await assert.rejects(answer(), { code: "OUTCOME_UNKNOWN", message: /may or may not have happened/ });
    assert.equal(ids.length, 1);
  }
});

test("a repeat's answer counts, and where there is none in time the outcome is called unknown", async () => {
  const conflict = new ClusterduckError("CONFLICT", "It is there already");
  await assert.rejects(bench([BROKEN(), conflict]).answer(), { code: "CONFLICT" });
  const left = bench([BROKEN(), NO_QUORUM()], { hasLeader: async () => false, options: { timeoutMs: 700 } });
  await assert.rejects(left.answer(), { code: "OUTCOME_UNKNOWN" });

  const never = bench(Array.from({ length: 100 }, BROKEN), { options: { timeoutMs: 700 } });
  await assert.rejects(never.answer(), { code: "OUTCOME_UNKNOWN" });
  assert.ok(never.ids.length > 3 && never.ids.length < 20);
});

test("Ctrl-C ends it", async () => {
  const stop = new AbortController();
  const { ids, answer } = bench([BROKEN()], {
    options: { signal: stop.signal },
    next: () => stop.abort(),
    knowsRequests: async () => {
      throw new ClusterduckError("STOPPING", "The call was cancelled");
    },
  });
  await assert.rejects(answer(), { code: "STOPPING" });
  assert.equal(ids.length, 1);
});
