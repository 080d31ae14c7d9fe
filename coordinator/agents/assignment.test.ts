import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeRef } from "../../common/model/node.js";
import { HandState, TCP_CHECK } from "../../test/support/fleet-harness.js";
import type { MemberRecord } from "../state/model.js";
import { Admission } from "./admission.js";
import type { AgentPlace } from "./assignment.js";
import { diffAssignments, planAssignments } from "./assignment.js";

function place(id: string, more: Partial<AgentPlace> = {}): AgentPlace {
  return {
    id,
    host: `${id}.example`,
    addresses: [],
    networkIdentity: `net-${id}`,
    isConnected: true,
    ...more,
  };
}

function plan(state: HandState, agents: readonly AgentPlace[], networkIdentity = "net-here") {
  return planAssignments({ state: state.state, agents, networkIdentity });
}

const ref = (addr: string): NodeRef => ({ cluster: "web", addr });

test("an agent stands beside the nodes that it declared, and those on its addresses or its host's name", () => {
  const state = new HandState();
  state.add(["10.0.0.1:80", "10.0.0.2:80", "[2001:db8::1]:80", "A2.example:80", "10.0.0.3:80"]);
  state.add(["10.0.0.9:80"], "a1");

  const { beside, work } = plan(state, [
    place("a1", { addresses: ["10.0.0.1", "2001:0db8:0:0:0:0:0:1"] }),
    place("a2", { addresses: ["10.0.0.2", "10.0.0.9"] }),
  ]);

  assert.deepEqual(Object.fromEntries(beside), {
    "web/10.0.0.1:80": "a1",
    "web/10.0.0.2:80": "a2",
    "web/[2001:db8::1]:80": "a1",
    "web/A2.example:80": "a2",
    "web/10.0.0.9:80": "a1",
  });
  assert.deepEqual([...(work.get("a2")?.keys() ?? [])], ["web/10.0.0.2:80", "web/A2.example:80"]);
});

test("loopback and unix addresses belong to the agent in the coordinator's own network, whatever others claim", () => {
  const state = new HandState();
  state.add(["127.0.0.1:80", "localhost:81", "[::1]:82", "unix:/run/x.sock"]);
  const elsewhere = place("a1", { addresses: ["127.0.0.1", "::1"] });

  const alone = plan(state, [elsewhere]);
  const together = plan(state, [elsewhere, place("a2", { networkIdentity: "net-here" })]);

  assert.equal(alone.beside.size, 0);
  assert.deepEqual(new Set(together.beside.values()), new Set(["a2"]));
  assert.equal(together.beside.size, 4);
});

test("of several agents the connected one is chosen, then the first by name, in whatever order they came", () => {
  const state = new HandState();
  state.add(["10.0.0.1:80"]);
  const at = { addresses: ["10.0.0.1"] };
  const agents = [place("c", at), place("b", at), place("a", { ...at, isConnected: false })];

  assert.equal(plan(state, agents).beside.get("web/10.0.0.1:80"), "b");
  assert.equal(plan(state, [...agents].reverse()).beside.get("web/10.0.0.1:80"), "b");
  assert.equal(plan(state, agents.slice(2)).beside.get("web/10.0.0.1:80"), "a");
});

test("nodes of a cluster without checks, or that the configuration no longer has, are nobody's work", () => {
  const state = new HandState();
  state.checks = [];
  state.add(["10.0.0.1:80"]);

  const { beside, work } = plan(state, [place("a", { addresses: ["10.0.0.1"] })]);

  assert.equal(beside.size, 1);
  assert.equal(work.size, 0);
});

test("a difference names what changed and what is gone, and nothing for equal checks in new objects", () => {
  const state = new HandState();
  state.add(["10.0.0.1:80", "10.0.0.2:80"]);
  const agents = [place("a", { addresses: ["10.0.0.1", "10.0.0.2", "10.0.0.3"] })];
  const before = plan(state, agents).work.get("a") ?? new Map();

  state.checks = [{ ...TCP_CHECK }];
  const same = diffAssignments(before, plan(state, agents).work.get("a") ?? new Map());
  state.remove("10.0.0.1:80");
  state.add(["10.0.0.3:80"]);
  const changed = diffAssignments(before, plan(state, agents).work.get("a") ?? new Map());

  assert.deepEqual(same, { changed: [], removed: [] });
  assert.deepEqual(
    changed.changed.map(({ node }) => node),
    [ref("10.0.0.3:80")],
  );
  assert.deepEqual(changed.removed, [ref("10.0.0.1:80")]);
});

test("admission lets a burst in at once, the rest in turn, and sends away who would wait too long", () => {
  const admission = new Admission({ perSecond: 10, burst: 3 });

  const waits = Array.from({ length: 8 }, () => admission.book(1_000, 400));

  assert.deepEqual(waits, [0, 0, 0, 100, 200, 300, 400, null]);
  assert.equal(admission.book(1_500, 400), 0);
  assert.equal(admission.book(60_000, 400), 0);
});

test("a loopback address is at home where it was declared; that of the configuration nowhere once coordinators stand apart", () => {
  const state = new HandState();
  state.add(["127.0.0.1:80", "10.0.0.1:80"]);
  state.add(["127.0.0.1:90"], "a1");
  const agents = [place("a1"), place("here", { networkIdentity: "net-here" })];

  const together = plan(state, agents);
  const apart = planAssignments({
    state: {
      ...state.state,
      members: new Map([["c2", { networkIdentity: "there", removedAtMs: null } as MemberRecord]]),
    },
    agents,
    networkIdentity: "net-here",
  });

  assert.deepEqual(Object.fromEntries(together.homes), {
    "web/127.0.0.1:80": "net-here",
    "web/127.0.0.1:90": "net-a1",
  });
  assert.equal(together.beside.get("web/127.0.0.1:80"), "here");
  assert.equal(apart.homes.get("web/127.0.0.1:80"), null);
  assert.equal(apart.beside.has("web/127.0.0.1:80"), false);
  assert.equal(apart.homes.get("web/127.0.0.1:90"), "net-a1");
});
