import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConnectionError } from "./connection-error.js";
import { guardReplies, MAX_REPLY_BYTES } from "./reply-guard.js";
import { fc } from "../../test/support/properties.js";

function refusals(chunks: readonly Buffer[]): readonly string[] {
  const seen: ConnectionError[] = [];
  const guard = guardReplies((error) => seen.push(error));
  for (const chunk of chunks) guard.onData(chunk);
  return seen.map((error) => error.kind);
}

test("a huge array header is refused however it is cut into chunks, and the parser does not see it whole", () => {
  const header = "+OK\r\n*2\r\n*30000000\r\n";
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: header.length - 1 })), (cuts) => {
      const bounds = [0, ...cuts.sort((a, b) => a - b), header.length];
      const chunks = bounds.slice(1).map((end, index) => Buffer.from(header.slice(bounds[index], end)));

      assert.equal(refusals(chunks)[0], "protocol");
      assert.equal(Buffer.concat(chunks).includes("*30000000"), false);
    }),
  );
});

test("ordinary replies pass untouched", () => {
  const replies = [
    "*3\r\n$6\r\nmaster\r\n:1234567890123\r\n*0\r\n",
    "$11\r\na * b ** c 1\r\n",
    "+PONG\r\n",
    "*999999\r\n",
  ];
  for (const reply of replies) {
    const chunk = Buffer.from(reply);

    assert.deepEqual(refusals([chunk]), []);
    assert.equal(chunk.toString(), reply);
  }
});

test("more bytes than one run may receive are refused, and a new run counts from zero", () => {
  const seen: string[] = [];
  const guard = guardReplies((error) => seen.push(error.kind));

  guard.onData(Buffer.alloc(MAX_REPLY_BYTES));
  guard.reset();
  guard.onData(Buffer.alloc(MAX_REPLY_BYTES));
  assert.deepEqual(seen, []);

  guard.onData(Buffer.alloc(1));
  assert.deepEqual(seen, ["tooLarge"]);
});
