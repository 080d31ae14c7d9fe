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
  queue.begin(9);

  assert.deepEqual(sequences(queue.confirm((round) => round <= 2)), [
    [1, 7],
    [2, 9],
  ]);
});

test("a round confirms those before it, and none after it", () => {
  const queue = new ReadQueue();
  for (const sequence of [1, 2, 3]) {
    queue.add(read(sequence));
    queue.begin(sequence);
  }

  assert.deepEqual(sequences(queue.confirm((round) => round <= 2)), [
    [1, 1],
    [2, 2],
  ]);
  assert.equal(queue.isAsking, true);
});

test("a round is due when reads wait and none is out", () => {
  const queue = new ReadQueue();
  assert.equal(queue.isRoundDue, false);
  queue.add(read(1));
  assert.equal(queue.isRoundDue, true);
  queue.begin(1);
  queue.add(read(2));
  assert.equal(queue.isRoundDue, false);

  queue.confirm(() => true);

  assert.equal(queue.isRoundDue, true);
});

test("a round without reads is none", () => {
  const queue = new ReadQueue();

  queue.begin(5);

  assert.deepEqual([queue.round, queue.isAsking], [0, false]);
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
