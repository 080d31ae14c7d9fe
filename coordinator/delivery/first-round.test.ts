import assert from "node:assert/strict";
import { test } from "node:test";

import { fakeReplica, nodeRecord } from "../../test/support/fake-replica.js";
import { haproxyConfig } from "../../test/support/haproxy-views.js";
import { FIRST_ROUND_GRACE_MS, hasFirstRound } from "./first-round.js";

const judged = nodeRecord("web", "10.0.0.1:80");
const open = nodeRecord("web", "10.0.0.2:80", { state: "unknown" });
const stateOf = (...nodes: Parameters<typeof fakeReplica>[1][number][]) =>
  fakeReplica([haproxyConfig()], nodes).state;

test("every node judged is enough at once", () => {
  assert.equal(hasFirstRound(stateOf(judged), "web", 0), true);
});

test("an operator's word counts as a verdict", () => {
  const spare = { ...open, overlay: { kind: "spare", reason: "", untilMs: null } } as const;

  assert.equal(hasFirstRound(stateOf(judged, spare), "web", 0), true);
});

test("an open node holds the cluster up, but only for the grace", () => {
  const state = stateOf(judged, open);

  assert.equal(hasFirstRound(state, "web", FIRST_ROUND_GRACE_MS - 1), false);
  assert.equal(hasFirstRound(state, "web", FIRST_ROUND_GRACE_MS), true);
});

test("a cluster of which nothing is known waits for ever", () => {
  assert.equal(hasFirstRound(stateOf(open), "web", 10 * FIRST_ROUND_GRACE_MS), false);
});

test("a cluster without checks waits for nobody", () => {
  const { config, ...state } = stateOf(open);
  const { web } = config.value.clusters;
  assert.ok(web !== undefined);
  const clusters = { web: { ...web, checks: [] } };

  assert.equal(
    hasFirstRound({ ...state, config: { ...config, value: { ...config.value, clusters } } }, "web", 0),
    true,
  );
});

test("another cluster's verdicts do not count", () => {
  assert.equal(
    hasFirstRound(stateOf(open, nodeRecord("api", "10.0.0.9:80")), "web", FIRST_ROUND_GRACE_MS),
    false,
  );
});
