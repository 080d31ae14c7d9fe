import assert from "node:assert/strict";
import { test } from "node:test";

import { nodeSlice } from "../../test/support/haproxy-views.js";
import { admissionOf } from "./admission.js";

test("an unknown node stays as it was: served if it was healthy, out if it was down or never judged", () => {
  const was = (heldState: "healthy" | "down" | "degraded" | "unknown") =>
    admissionOf(nodeSlice("a:1", { state: "unknown", heldState }), false);

  assert.deepEqual(
    [was("healthy"), was("down"), was("degraded"), was("unknown")],
    ["serve", "disabled", "disabled", "disabled"],
  );
});

test("panic serves every node that is not certainly dead", () => {
  const panic = (changes: Parameters<typeof nodeSlice>[1]) => admissionOf(nodeSlice("a:1", changes), true);

  assert.equal(panic({ state: "down" }), "serve");
  assert.equal(panic({ state: "degraded" }), "serve");
  assert.equal(panic({ state: "unknown", heldState: "unknown" }), "serve");
  assert.equal(panic({ state: "down", isConclusive: true }), "disabled");
});

test("an operator's word stands above the verdict and above panic", () => {
  for (const isPanicking of [false, true]) {
    const under = (overlay: "disabled" | "drain" | "maintenance" | "spare") =>
      admissionOf(nodeSlice("a:1", { overlay }), isPanicking);

    assert.deepEqual(
      [under("drain"), under("disabled"), under("maintenance"), under("spare")],
      ["drain", "disabled", "disabled", "disabled"],
    );
  }
});
