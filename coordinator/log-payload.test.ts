import assert from "node:assert/strict";
import { test } from "node:test";
import { fc, runs } from "../test/support/properties.js";
import { packPayload, unpackPayload } from "./log-payload.js";

test("a command comes back as it was, whatever it holds and however large it is", () => {
  fc.assert(
    fc.property(fc.json(), fc.integer({ min: 1, max: 200_000 }), (json, repeats) => {
      const command = Buffer.from(`{"command":[${`${json},`.repeat(Math.ceil(repeats / json.length))}0]}`);

      assert.deepEqual(Buffer.from(unpackPayload(packPayload(command))), command);
    }),
    runs(30),
  );
});

test("small commands stay as they are, and large ones shrink", () => {
  const small = Buffer.from(`{"type":"addNode"}`);
  const nodes = Array.from({ length: 5_000 }, (_, at) => ({ addr: `10.1.${at >> 8}.${at & 255}:80` }));
  const large = Buffer.from(JSON.stringify(nodes));

  assert.equal(packPayload(small), small);
  assert.ok(packPayload(large).length < large.length / 4);
});
