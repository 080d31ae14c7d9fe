import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { AssignmentSchema } from "../proto/gen/clusterduck/v1/agent_pb.js";
import type { HeldAssignment } from "./assignments.js";
import { NO_ASSIGNMENT, applyAssignment, mergeAssignments } from "./assignments.js";

const node = (addr: string, epoch = 1n) => ({
  node: { cluster: "web", addr },
  epoch,
  clusterType: "tcp",
  checks: [],
});

function apply(held: HeldAssignment, init: MessageInitShape<typeof AssignmentSchema>): HeldAssignment | null {
  return applyAssignment(held, create(AssignmentSchema, init));
}

function held(revision: number, ...addrs: string[]): HeldAssignment {
  const made = apply(NO_ASSIGNMENT, {
    revision: BigInt(revision),
    isFull: true,
    nodes: addrs.map((addr) => node(addr, BigInt(revision))),
  });
  assert.ok(made !== null);
  return made;
}

test("a full assignment replaces, a difference adds and removes", () => {
  const first = held(5, "a:1", "b:1");

  const second = apply(first, {
    revision: 6n,
    baseRevision: 5n,
    nodes: [node("c:1")],
    removed: [{ cluster: "web", addr: "a:1" }],
  });

  assert.deepEqual([...(second?.nodes.keys() ?? [])], ["web/b:1", "web/c:1"]);
  assert.equal(second?.revision, 6);
});

test("a difference to another revision is not applied", () => {
  assert.equal(apply(held(5, "a:1"), { revision: 8n, baseRevision: 7n, nodes: [node("b:1")] }), null);
});

test("of several coordinators the newest word about a node counts, and those that are away have none", () => {
  const merged = mergeAssignments([
    { isConnected: true, held: held(7, "a:1", "b:1") },
    { isConnected: true, held: held(9, "a:1") },
    { isConnected: false, held: held(3, "gone:1") },
  ]);

  assert.deepEqual(
    merged?.map(({ node: { addr }, epoch }) => [addr, epoch]),
    [
      ["a:1", 9],
      ["b:1", 7],
    ],
  );
});

test("without any coordinator the last words stand, and without any word there is no answer", () => {
  assert.equal(mergeAssignments([{ isConnected: false, held: held(3, "a:1") }])?.length, 1);
  assert.equal(mergeAssignments([{ isConnected: true, held: NO_ASSIGNMENT }]), null);
  assert.deepEqual(mergeAssignments([{ isConnected: true, held: held(4) }]), []);
});
