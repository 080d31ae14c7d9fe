import assert from "node:assert/strict";
import { test } from "node:test";
import { LateJudge } from "./late-judge.js";

test("what expires together is judged together, what expires later has turns of its own", async () => {
  const pending: (() => void)[] = [];
  const judged: string[] = [];
  const judge = new LateJudge<string>(
    (callback) => pending.push(callback),
    (item) => judged.push(item),
  );

  judge.add("first");
  judge.add("at once");
  await Promise.resolve();
  judge.add("later");

  assert.equal(pending.length, 2);
  pending[0]?.();
  assert.deepEqual(judged, ["first", "at once"]);
  pending[1]?.();
  assert.deepEqual(judged, ["first", "at once", "later"]);
});

test("what is judged may be added again", async () => {
  const pending: (() => void)[] = [];
  let judgements = 0;
  const judge = new LateJudge<string>(
    (callback) => pending.push(callback),
    (item) => {
      if (++judgements <= 2) judge.add(item);
    },
  );

  judge.add("a");
  judge.add("b");
  await Promise.resolve();
  pending[0]?.();
  assert.equal(pending.length, 2);
  pending[1]?.();
  assert.equal(judgements, 4);
});
