import assert from "node:assert/strict";
import { test } from "node:test";
import { diffConfig } from "./diff.js";
import { emptyReplicatedConfig, parseConfigText } from "./load.js";

const read = (text: string) => parseConfigText(text, "a.yaml", {}).replicated;

test("the same configuration has no differences, whatever the order in the file", () => {
  const before = read("clusters: {a: {type: http, nodes: [h:1, h:2]}, b: {type: tcp}}");
  const after = read("clusters: {b: {type: tcp}, a: {nodes: [h:2, h:1], type: http}}");

  assert.deepEqual(diffConfig(before, after), []);
});

test("nodes are compared by address, checks and triggers by id, in a stable order", () => {
  const before = read(`
clusters:
  web: {type: http, nodes: [h:1, {addr: h:2, weight: 1}, h:3], health_checks: [{type: http}]}
`);
  const after = read(`
clusters:
  web: {type: http, nodes: [h:11, h:1, {addr: h:2, weight: 5}], health_checks: [{type: http, every: 2s}], policy: {quorum: 2}}
`);

  const changes = diffConfig(before, after);

  assert.deepEqual(
    changes.map(({ kind, path }) => `${kind} ${path}`),
    [
      "change clusters.web.checks.http.everyMs",
      'add clusters.web.nodes."h:11"',
      'change clusters.web.nodes."h:2".attributes.weight',
      'remove clusters.web.nodes."h:3"',
      "change clusters.web.policy.quorum",
    ],
  );
  assert.deepEqual(changes[2], {
    kind: "change",
    path: 'clusters.web.nodes."h:2".attributes.weight',
    before: 1,
    after: 5,
  });
});

test("a cluster that appears or goes is one difference with all it holds", () => {
  const config = read(
    "clusters: {web: {type: http, nodes: [h:1]}}\nbalancers: {lb: {type: haproxy, clusters: web}}",
  );

  const added = diffConfig(emptyReplicatedConfig, config);

  assert.deepEqual(
    added.map(({ kind, path }) => `${kind} ${path}`),
    ["add balancers.lb", "add clusters.web"],
  );
  assert.equal((added[1]?.after as { name: string }).name, "web");
  assert.deepEqual(
    diffConfig(config, emptyReplicatedConfig).map(({ kind }) => kind),
    ["remove", "remove"],
  );
});
