import assert from "node:assert/strict";
import { test } from "node:test";

import type { NodeState } from "../../../common/model/node.js";
import { clusterOf, nodeOf } from "../../../test/support/cluster-config.js";
import { encodeCommand } from "../../state/codec.js";
import type { Command } from "../../state/commands.js";
import { StateMachine } from "../../state/machine.js";
import { clusterViews } from "./cluster.js";

const ADDR = "10.0.0.1:80";

/** A tier with one node that went through the given states. */
function tierWith(...states: readonly NodeState[]): StateMachine {
  const machine = new StateMachine();
  let index = 0;
  const apply = (command: Command): void => {
    index += 1;
    machine.apply({ index, term: 1, payload: encodeCommand({ atMs: index, by: "test", command }) });
  };
  const web = clusterOf({ name: "web", nodes: [nodeOf(ADDR)] });
  const config = { clusters: { web }, balancers: {} };
  apply({ type: "applyConfig", config, yaml: "", source: "file", fileHash: "1", ifRevision: null });
  const epoch = index;
  let from: NodeState = "unknown";
  for (const to of states) {
    const node = { cluster: "web", addr: ADDR };
    apply({
      type: "cut",
      transitions: [{ node, epoch, from, to, cause: "", isConclusive: false, ballots: [] }],
    });
    from = to;
  }
  return machine;
}

test("a node that became unknown still counts as active, as it still gets traffic", () => {
  const [cluster] = clusterViews(tierWith("healthy", "unknown").view);

  assert.deepEqual([cluster?.unknown, cluster?.healthy, cluster?.active], [1, 0, 1]);
});

test("a node that was down before it became unknown does not count as active", () => {
  const [cluster] = clusterViews(tierWith("down", "unknown").view);

  assert.deepEqual([cluster?.unknown, cluster?.active], [1, 0]);
});
