import assert from "node:assert/strict";
import { test } from "node:test";

import { parseAttributes } from "./attributes.js";

test("parseAttributes() reads numbers and booleans as such and keeps the rest as text", () => {
  const words = [
    "weight=10",
    "backup=true",
    "check=false",
    "comment=a = b",
    "cookie=",
    "rate=-1.5",
    "zip=007",
  ];

  assert.deepEqual(parseAttributes(words), {
    weight: 10,
    backup: true,
    check: false,
    comment: "a = b",
    cookie: "",
    rate: -1.5,
    zip: "007",
  });
});

test("parseAttributes() keeps numbers and true/false as text where only text fits", () => {
  assert.deepEqual(parseAttributes(["comment=2024", "route=true", "cookie=5"]), {
    comment: "2024",
    route: "true",
    cookie: 5,
  });
});

test("parseAttributes() keeps digits that a number could not hold", () => {
  assert.deepEqual(parseAttributes(["id=12345678901234567890"]), { id: "12345678901234567890" });
});

test("parseAttributes() refuses what is no attribute, with what would work", () => {
  assert.throws(() => parseAttributes(["weight"]), {
    code: "INVALID_ARGUMENT",
    message: /NAME=VALUE, as in weight=10/,
  });
  assert.throws(() => parseAttributes(["=1"]), { code: "INVALID_ARGUMENT" });
  assert.throws(() => parseAttributes(["a=1", "a=2"]), {
    code: "INVALID_ARGUMENT",
    message: /"a" is given twice/,
  });
});

test("parseAttributes() refuses control characters before anything is sent", () => {
  for (const word of ["comment=a\nb", "comment=\u001b[31m", "x=\u0000", "x=\u0085"]) {
    assert.throws(() => parseAttributes([word]), { code: "INVALID_ARGUMENT", message: /one line/ });
  }
});

test("parseAttributes() refuses the one name that would vanish on the way", () => {
  assert.throws(() => parseAttributes(["__proto__=5"]), /"__proto__=5": no attribute can have that name/);
  assert.deepEqual(parseAttributes(["constructor=5"]), { constructor: 5 });
});
