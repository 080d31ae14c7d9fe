import assert from "node:assert/strict";
import { test } from "node:test";
import { aCluster, aNode, aRecord, aState } from "../../test/support/decision-fixtures.js";
import type { AgentRecord } from "../state/model.js";
import { AGENT_GRACE_MS, agentChores, nodeChores } from "./housekeeping.js";
import type { SeenAgent } from "./housekeeping.js";
import { LeaderTime } from "./leader-time.js";

const SEEN: SeenAgent = {
  id: "a1",
  bootId: "b1",
  host: "h1",
  zone: "z1",
  labels: { rack: "7" },
  version: "1",
  networkIdentity: "here",
  isConnected: true,
  proxies: ["web"],
  lostCause: "",
};
const RECORD: AgentRecord = {
  id: "a1",
  bootId: "b1",
  host: "h1",
  zone: "z1",
  labels: { rack: "7" },
  version: "1",
  state: "connected",
  sinceMs: 0,
  proxies: ["web"],
  networkIdentity: "here",
};

function chores(record: AgentRecord | null, seen: readonly SeenAgent[], awayMs = 0): readonly string[] {
  const agents = new Map(record === null ? [] : [[record.id, record]]);
  return agentChores({ agents }, seen, () => 0, awayMs).map((chore) => chore.command.type);
}

test("an agent is recorded when it comes, comes back, restarts or tells something new", () => {
  assert.deepEqual(chores(null, [SEEN]), ["agentFound"]);
  assert.deepEqual(chores({ ...RECORD, state: "lost" }, [SEEN]), ["agentFound"]);
  assert.deepEqual(chores({ ...RECORD, bootId: "b0" }, [SEEN]), ["agentFound"]);
  assert.deepEqual(chores({ ...RECORD, proxies: [] }, [SEEN]), ["agentFound"]);
  assert.deepEqual(chores(RECORD, [SEEN]), []);
});

test("an agent is lost only after the grace, also when this coordinator never saw it", () => {
  const away = { ...SEEN, isConnected: false, lostCause: "the stream broke" };

  assert.deepEqual(chores(RECORD, [away], AGENT_GRACE_MS - 1), []);
  assert.deepEqual(chores(RECORD, [away], AGENT_GRACE_MS), ["agentLost"]);
  assert.deepEqual(chores(RECORD, [], AGENT_GRACE_MS), ["agentLost"]);
  assert.deepEqual(chores({ ...RECORD, state: "lost" }, [], AGENT_GRACE_MS), []);
});

test("overlays end, and nodes that stayed down are purged unless an operator set them aside", () => {
  const drained = { kind: "drain", reason: "", untilMs: 5_000 } as const;
  const maintained = { kind: "maintenance", reason: "", untilMs: null } as const;
  const down = { state: "down", sinceMs: 1_000 } as const;
  const state = aState(
    [aCluster({ purgeUnavailableMs: 4_000 })],
    [
      aRecord(aNode(1), { overlay: drained }),
      aRecord(aNode(2), down),
      aRecord(aNode(3), { ...down, overlay: maintained }),
      aRecord(aNode(4), { ...down, sinceMs: 4_000 }),
    ],
  );

  assert.deepEqual(nodeChores(state, 4_999), []);
  assert.deepEqual(
    nodeChores(state, 5_000).map((chore) => chore.key),
    [`overlay web/${aNode(1).addr}`, `purge web/${aNode(2).addr}`],
  );
});

test("leader time follows monotonic time and committed stamps, never the wall clock", () => {
  const time = new LeaderTime(1_000_000, 500);

  assert.equal(time.nowMs(0, 1_500), 1_001_000);
  assert.equal(time.nowMs(9_000_000, 1_600), 9_000_000);
  assert.equal(time.nowMs(1_000_000, 1_700), 9_000_100);
});
