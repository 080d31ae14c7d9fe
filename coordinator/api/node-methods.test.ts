import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallContext } from "../../common/grpc/service.js";
import { ClusterduckError } from "../../common/errors.js";
import type { Overlay } from "../../common/model/node.js";
import { VirtualClock } from "../../common/virtual-clock.js";
import { fakeReplica, nodeRecord } from "../../test/support/fake-replica.js";
import type { FakeReplica } from "../../test/support/fake-replica.js";
import type { ControlContext } from "./context.js";
import { nodeMethods } from "./node-methods.js";

const NODE = { cluster: "web", addr: "10.0.0.1:80" };
const KEY = `${NODE.cluster}/${NODE.addr}`;
const MAINTENANCE: Overlay = { kind: "maintenance", reason: "disk", untilMs: null };
const CALL = { peer: "test" } as CallContext;

test("a node that another leader has added is removed, although it is not applied here yet", async () => {
  const { methods, replica } = lagging((nodes) => nodes.set(KEY, nodeRecord(NODE.cluster, NODE.addr)));

  await methods.removeNode(removal(), CALL);

  assert.deepEqual(
    replica.proposed.map(({ type }) => type),
    ["removeNode"],
  );
});

test("what is not there in the newest state either is not found", async () => {
  const { methods, replica } = lagging(() => undefined);

  await assert.rejects(
    async () => methods.removeNode(removal(), CALL),
    (thrown) => thrown instanceof ClusterduckError && thrown.code === "NOT_FOUND",
  );

  assert.deepEqual(replica.proposed, []);
});

test("an intent counts as met only when it is met in the newest state", async () => {
  const { methods, replica } = lagging((nodes) =>
    nodes.set(KEY, nodeRecord(NODE.cluster, NODE.addr, { overlay: MAINTENANCE })),
  );
  replica.nodes.set(KEY, nodeRecord(NODE.cluster, NODE.addr));

  const answer = await methods.setNodeIntent(intent("enable"), CALL);

  assert.notEqual(answer.isUnchanged, true);
  assert.deepEqual(replica.proposed, [{ type: "setOverlay", node: NODE, overlay: null }]);
});

test("an intent leaves alone what somebody else has set meanwhile", async () => {
  const { methods, replica } = lagging((nodes) =>
    nodes.set(KEY, nodeRecord(NODE.cluster, NODE.addr, { overlay: MAINTENANCE })),
  );
  const drain: Overlay = { kind: "drain", reason: "", untilMs: null };
  replica.nodes.set(KEY, nodeRecord(NODE.cluster, NODE.addr, { overlay: drain }));

  const answer = await methods.setNodeIntent(intent("undrain"), CALL);

  assert.equal(answer.node?.overlay, "maintenance");
  assert.deepEqual(replica.proposed, []);
});

test("a node that was added and at once removed by another was added all the same", async () => {
  const { methods, replica } = lagging(() => undefined);
  const propose = replica.propose.bind(replica);
  const unlucky: FakeReplica = Object.assign(replica, {
    propose: async (...[command, by]: Parameters<FakeReplica["propose"]>) => {
      replica.nodes.set(KEY, nodeRecord(NODE.cluster, NODE.addr));
      const result = await propose(command, by);
      replica.nodes.delete(KEY);
      return result;
    },
  });

  const answer = await methods.addNode(
    { $typeName: "clusterduck.v1.AddNodeRequest", ...named(), isIdempotent: false },
    CALL,
  );

  assert.equal(answer.node?.addr, NODE.addr);
  assert.equal(unlucky.nodes.size, 0);
});

/** A replica that lacks what `newest` brings, until somebody waits for it. */
function lagging(newest: (nodes: FakeReplica["nodes"]) => unknown) {
  const balancer = { name: "b", clusters: [NODE.cluster] };
  const replica = Object.assign(fakeReplica([balancer as never], []), {
    readBarrier: async () => void newest(replica.nodes),
  });
  const context = {
    replica,
    clock: new VirtualClock(),
    knowledge: { evidenceOf: () => [], factsOf: () => ({}), warningsOf: () => [] },
    fleet: { agentBeside: () => null },
  } as unknown as ControlContext;
  return { methods: nodeMethods(context), replica };
}

function named() {
  return { node: { $typeName: "clusterduck.v1.NodeRef" as const, ...NODE }, requestId: "" };
}

function removal() {
  return { $typeName: "clusterduck.v1.RemoveNodeRequest" as const, ...named() };
}

function intent(word: string) {
  return {
    $typeName: "clusterduck.v1.SetNodeIntentRequest" as const,
    ...named(),
    ...{ intent: word, reason: "", durationMs: 0 },
  };
}
