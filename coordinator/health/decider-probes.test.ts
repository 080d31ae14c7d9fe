import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeKey } from "../../common/model/node.js";
import {
  aCluster,
  aNode,
  aRecord,
  aReport,
  aState,
  TIMED_OUT,
} from "../../test/support/decision-fixtures.js";
import { Decider } from "./decider.js";

const AGENT = "a1";
const ABSTAINING = { level: 5, cause: "event loop late by 80 ms" };
const SURE = { level: 0, cause: "" };
/** How long one wish makes the schedule look. Milliseconds. */
const PROBE_MS = 5_000;

/** A decider whose only agent is connected and abstains. */
function muteFleet(nodeCount: number): Decider {
  const nodes = Array.from({ length: nodeCount }, (_, index) => aNode(index + 1));
  const world = {
    coordinatorId: "c1",
    state: aState(
      [aCluster()],
      nodes.map((node) => aRecord(node, { state: "healthy" })),
    ),
    members: () => ["c1"],
    agentBeside: () => AGENT,
    zoneOf: () => "",
    mayProbe: () => true,
  };
  const decider = new Decider(world, 0);
  decider.observerFound(AGENT, "boot1", 0);
  decider.leadership(true, 0);
  return decider;
}

/** Ticks for a minute; the largest number of nodes under a probe at once, and who was probed at all. */
function watchProbes(decider: Decider): {
  atOnce: number;
  probed: ReadonlySet<string>;
  underProbe: ReadonlyMap<string, number>;
} {
  const underProbe = new Map<string, number>();
  const probed = new Set<string>();
  let atOnce = 0;
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 250) {
    decider.heartbeat(AGENT, ABSTAINING);
    for (const { node, durationMs } of decider.tick({ nowMs, leaderNowMs: nowMs }).probes) {
      assert.equal(durationMs, PROBE_MS);
      underProbe.set(nodeKey(node.node), nowMs + durationMs);
      probed.add(nodeKey(node.node));
    }
    atOnce = Math.max(atOnce, [...underProbe.values()].filter((untilMs) => untilMs > nowMs).length);
  }
  return { atOnce, probed, underProbe };
}

test("a coordinator does not take over all looks of a host whose agent abstains", () => {
  const { atOnce, probed } = watchProbes(muteFleet(300));

  assert.ok(atOnce > 0 && atOnce <= 64, `${atOnce} at once`);
  // Everybody has a turn.
  assert.equal(probed.size, 300);
});

test("a few silent nodes are probed all the time", () => {
  const { atOnce, probed } = watchProbes(muteFleet(10));

  assert.deepEqual([atOnce, probed.size], [10, 10]);
});

test("who is accused is probed at once, however many are silent", () => {
  const decider = muteFleet(300);
  const { underProbe } = watchProbes(decider);
  decider.heartbeat(AGENT, SURE);
  const accused = Array.from({ length: 100 }, (_, index) => aNode(index + 201));
  for (const node of accused) {
    decider.reports(AGENT, [aReport(node, TIMED_OUT, 60_250, { consecutive: 1 })], 60_250);
  }

  const { probes } = decider.tick({ nowMs: 60_250, leaderNowMs: 60_250 });

  const asked = new Set(probes.map(({ node }) => nodeKey(node.node)));
  const left = accused.map(nodeKey).filter((key) => !asked.has(key) && (underProbe.get(key) ?? 0) <= 60_250);
  assert.deepEqual(left, []);
  assert.ok(asked.size > 0);
});
