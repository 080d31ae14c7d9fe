import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "./suggest.js";

test("nearest() finds the word that was meant", () => {
  const keys = ["every", "timeout", "health_checks", "min_active_nodes", "rise"];
  for (const [word, meant] of [
    ["evry", "every"],
    ["tiemout", "timeout"],
    ["healthChecks", "health_checks"],
    ["health-check", "health_checks"],
    ["min_active", "min_active_nodes"],
    ["RISE", "rise"],
    ["weight", null],
    ["", null],
    ["x".repeat(10_000), null],
  ] as const) {
    assert.equal(nearest(word, keys), meant, word.slice(0, 20));
  }
});
