import assert from "node:assert/strict";
import { test } from "node:test";
import { tcpOptions } from "../common/config/checks/tcp.js";
import { stepsOf, unescape } from "./tcp-conversation.js";
import { fc } from "../test/support/properties.js";

function finder(expect: unknown) {
  const [step] = stepsOf(tcpOptions.parse({ expect }));
  if (step?.kind !== "expect") throw new Error("no expect step");
  return step.find;
}

test("escapes name single bytes, and other text is UTF-8", () => {
  assert.deepEqual(unescape("é\\r\\n\\t\\0\\x00\\xfF\\\\n"), Buffer.from("c3a90d0a090000ff5c6e", "hex"));
});

test("text without a backslash is sent as it is", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      fc.pre(!text.includes("\\"));
      assert.equal(unescape(text).toString("utf8"), text);
    }),
  );
});

test("an expected text, bytes or pattern is found anywhere, and found is where it ends", () => {
  const received = Buffer.from("220 mäil ready\r\n");

  assert.equal(finder("mäil")(received), 9);
  assert.equal(finder({ hex: "0d 0a" })(received), received.length);
  assert.equal(finder({ regex: "^220 m.il" })(received), 9);
  assert.equal(finder("not there")(received), -1);
  assert.equal(finder({ regex: "^250" })(received), -1);
});

test("a flow keeps its order, and cannot stand beside send or expect", () => {
  const steps = stepsOf(
    tcpOptions.parse({ flow: [{ expect: "220" }, { send: "QUIT\\r\\n" }, { expect: "221" }] }),
  );

  assert.deepEqual(
    steps.map((step) => step.kind),
    ["expect", "send", "expect"],
  );
  assert.equal(tcpOptions.safeParse({ flow: [{ expect: "220" }], send: "x" }).success, false);
});
