import assert from "node:assert/strict";
import { test } from "node:test";
import { Inflights } from "./inflights.js";

test("messages on their way are limited by count", () => {
  const inflights = new Inflights({ maxMessages: 2, maxBytes: 1000 });

  inflights.add(3, 10);
  assert.equal(inflights.isFull, false);
  inflights.add(5, 10);
  assert.equal(inflights.isFull, true);
});

test("messages on their way are limited by bytes, of which the last may be too many", () => {
  const inflights = new Inflights({ maxMessages: 10, maxBytes: 100 });

  inflights.add(3, 99);
  assert.equal(inflights.isFull, false);
  inflights.add(5, 5000);
  assert.equal(inflights.isFull, true);
});

test("an acknowledgement frees all messages that end at or before it", () => {
  const inflights = new Inflights({ maxMessages: 3, maxBytes: 100 });
  for (const last of [3, 5, 9]) inflights.add(last, 40);

  inflights.freeUpTo(2);
  assert.equal(inflights.count, 3);
  inflights.freeUpTo(6);
  assert.equal(inflights.count, 1);
  assert.equal(inflights.isFull, false);
  inflights.freeUpTo(100);

  assert.equal(inflights.count, 0);
});

test("clear() forgets messages and their bytes", () => {
  const inflights = new Inflights({ maxMessages: 3, maxBytes: 100 });
  inflights.add(3, 100);

  inflights.clear();

  assert.deepEqual([inflights.count, inflights.isFull], [0, false]);
});
