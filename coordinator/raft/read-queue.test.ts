import assert from "node:assert/strict";
import { test } from "node:test";
import { ReadQueue } from "./read-queue.js";

const read = (sequence: number) => ({ from: "a", request: { client: "x", sequence } });
const sequences = (confirmed: ReturnType<ReadQueue["confirm"]>) =>
  confirmed.map((each) => [each.read.request.sequence, each.index]);

test("reads are answered with the commit index that their round began with", () => {
  const queue = new ReadQueue();
  queue.add(read(1));
  queue.begin(7);
  queue.add(read(2));

  assert.deepEqual(sequences(queue.confirm()), [[1, 7]]);
  assert.deepEqual(sequences(queue.confirm()), []);
  queue.begin(9);
  assert.deepEqual(sequences(queue.confirm()), [[2, 9]]);
});

test("each round has a number of its own", () => {
  const queue = new ReadQueue();
  queue.begin(1);
  const first = queue.round;

  queue.begin(1);

  assert.notEqual(queue.round, first);
});

test("a round is due when reads wait and none is out", () => {
  const queue = new ReadQueue();
  assert.equal(queue.isRoundDue, false);
  queue.add(read(1));
  assert.equal(queue.isRoundDue, true);
  queue.begin(1);
  queue.add(read(2));
  assert.equal(queue.isRoundDue, false);

  queue.confirm();

  assert.equal(queue.isRoundDue, true);
});

test("abandon() hands back all reads, those asked first", () => {
  const queue = new ReadQueue();
  queue.add(read(1));
  queue.begin(1);
  queue.add(read(2));

  assert.deepEqual(
    queue.abandon().map((each) => each.request.sequence),
    [1, 2],
  );
  assert.deepEqual(queue.abandon(), []);
});
