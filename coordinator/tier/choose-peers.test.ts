import assert from "node:assert/strict";
import { test } from "node:test";
import { choosePeers } from "./choose-peers.js";

const NODE = { cluster: "web", addr: "10.0.0.1:80" };
const agents = (count: number, zones: number): { id: string; zone: string }[] =>
  Array.from({ length: count }, (_, at) => ({ id: `a${at}`, zone: zones === 0 ? "" : `z${at % zones}` }));

test("five peers are chosen, at most two of a zone, in whatever order the agents come", () => {
  const candidates = agents(40, 4);

  const chosen = choosePeers(NODE, candidates);

  assert.equal(chosen.length, 5);
  const zones = chosen.map((id) => candidates.find((each) => each.id === id)?.zone);
  for (const zone of new Set(zones)) assert.ok(zones.filter((each) => each === zone).length <= 2);
  assert.deepEqual(choosePeers(NODE, [...candidates].reverse()), chosen);
});

test("one zone gives two peers; agents that name no zone share none", () => {
  assert.equal(choosePeers(NODE, agents(10, 1)).length, 2);
  assert.equal(choosePeers(NODE, agents(10, 0)).length, 5);
});

test("an agent that goes changes only its own place", () => {
  const candidates = agents(20, 0);
  const before = choosePeers(NODE, candidates);
  const [gone] = before;

  const after = choosePeers(
    NODE,
    candidates.filter(({ id }) => id !== gone),
  );

  assert.deepEqual(
    before.filter((id) => !after.includes(id)),
    [gone],
  );
});

test("nodes spread over the agents", () => {
  const candidates = agents(50, 0);
  const load = new Map<string, number>();
  for (let at = 0; at < 1_000; at++) {
    for (const id of choosePeers({ cluster: "web", addr: `10.0.${at >> 8}.${at & 255}:80` }, candidates))
      load.set(id, (load.get(id) ?? 0) + 1);
  }

  assert.equal(load.size, 50);
  assert.ok(Math.max(...load.values()) < 200, "100 on average");
});
