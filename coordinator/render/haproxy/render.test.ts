import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { generationOf } from "../../../common/model/generation.js";
import { GOLDEN_DIRECTORY, goldenViews } from "../../../test/support/haproxy-golden.js";
import { clusterSlice, haproxyConfig, nodeSlice, viewOf } from "../../../test/support/haproxy-views.js";
import { renderHaproxy } from "./render.js";
import type { NodeSlice } from "../balancer-view.js";
import { fc } from "../../../test/support/properties.js";

for (const [name, view] of Object.entries(goldenViews)) {
  test(`renders ${name} as in test/golden/haproxy/${name}.cfg`, () => {
    const rendering = renderHaproxy(view);

    assert.equal(rendering.kind, "rendered");
    const text = rendering.files[0]?.text ?? "";
    const path = join(GOLDEN_DIRECTORY, `${name}.cfg`);
    if (process.env["UPDATE_GOLDEN"] === "1") {
      mkdirSync(GOLDEN_DIRECTORY, { recursive: true });
      writeFileSync(path, text);
    }
    assert.equal(text, readFileSync(path, "utf8"));
  });
}

test("the generation is the hash of the text, with and without its own marker in it", () => {
  for (const view of Object.values(goldenViews)) {
    const rendering = renderHaproxy(view);

    assert.equal(rendering.kind, "rendered");
    assert.equal(generationOf(rendering.files[0]?.text ?? ""), rendering.generation);
  }
});

test("only nodes that new traffic may go to are routable", () => {
  const rendering = renderHaproxy(
    viewOf(haproxyConfig(), [
      clusterSlice([
        nodeSlice("10.0.0.1:80"),
        nodeSlice("10.0.0.2:80", { state: "down" }),
        nodeSlice("10.0.0.3:80", { overlay: "drain" }),
      ]),
    ]),
  );

  assert.equal(rendering.kind, "rendered");
  assert.deepEqual([...rendering.routable], ["web/10.0.0.1:80"]);
});

test("a cluster without nodes is refused unless the operator allows it", () => {
  const refused = renderHaproxy(viewOf(haproxyConfig(), [clusterSlice([])]));
  const allowed = renderHaproxy(viewOf(haproxyConfig({ mayBeEmpty: true }), [clusterSlice([])]));

  assert.equal(refused.kind, "refused");
  assert.match(refused.problems.join(), /cluster "web" has no nodes/);
  assert.equal(allowed.kind, "rendered");
});

test("an attribute that HAProxy would refuse is left out and named", () => {
  const attributes = {
    weight: 300,
    maxconn: "many",
    cookie: "a b",
    verify: "maybe",
    inter: "soon",
    backup: "perhaps",
  };

  const rendering = renderHaproxy(
    viewOf(haproxyConfig(), [clusterSlice([nodeSlice("10.0.0.1:80", { attributes })])]),
  );

  assert.equal(rendering.kind, "rendered");
  assert.match(rendering.files[0]?.text ?? "", /server 10\.0\.0\.1:80 10\.0\.0\.1:80\n/);
  assert.deepEqual(rendering.warnings.map((warning) => /attribute "(\w+)"/.exec(warning)?.[1]).sort(), [
    "backup",
    "cookie",
    "inter",
    "maxconn",
    "verify",
    "weight",
  ]);
});

test("a control character in an option stops the rendering", () => {
  const view = viewOf(haproxyConfig({ backendOptions: ["option httpchk\n  server evil 10.6.6.6:80"] }), [
    clusterSlice([nodeSlice("10.0.0.1:80")]),
  ]);

  const rendering = renderHaproxy(view);

  assert.equal(rendering.kind, "refused");
  assert.match(rendering.problems.join(), /control character/);
});

test("no attribute, whatever it holds, adds or breaks a line", () => {
  const value = fc.oneof(fc.string({ unit: "binary" }), fc.integer(), fc.boolean());
  const key = fc.constantFrom(
    "weight",
    "maxconn",
    "cookie",
    "check",
    "comment",
    "sni",
    "ca-file",
    "inter",
    "disabled",
  );
  fc.assert(
    fc.property(fc.dictionary(key, value), (attributes) => {
      const node: NodeSlice = nodeSlice("10.0.0.1:80", { attributes });
      const rendering = renderHaproxy(viewOf(haproxyConfig({ mode: "marker" }), [clusterSlice([node])]));

      assert.equal(rendering.kind, "rendered");
      const lines = (rendering.files[0]?.text ?? "").split(/[\n\r\u0085\u2028\u2029]/);
      assert.equal(lines.length, 4);
      assert.match(lines[1] ?? "", /^server 10\.0\.0\.1:80 10\.0\.0\.1:80( |$)/);
    }),
  );
});
