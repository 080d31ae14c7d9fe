/** Changes through duckctl's own client while leaders are killed, and what a leader answers that was one. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { createTierClient } from "../../cli/tier-client.js";
import { createGrpcClient } from "../../common/grpc/client.js";
import { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { atEnd } from "../support/at-end.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier } from "../support/coordinator-tier.js";

/** Lanes of changes, each with a node of its own that is added and removed in turns. */
const LANES = 8;
const KILLS = 4;
const PATIENCE_MS = 60_000;

test("leaders are killed in the middle of a stream of changes: no error, and each change happens once", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: "clusters: {web: {type: tcp}}" });
  await tier.settled();
  await eventually("request ids", async () => (await levelOf(tier)) >= 1);
  const writer = startWriter(tier);
  atEnd(t, () => writer.stop());
  await eventually("the first changes", async () => writer.done() >= 50);

  for (let round = 0; round < KILLS; round++) {
    const leader = await tier.leader();
    await leader.program().kill();
    const before = writer.done();
    await eventually(
      "changes go on without it",
      async () => writer.done() >= before + 20 || writer.hasFailed(),
    );
    await leader.start();
  }
  await writer.stop();

  assert.deepEqual(writer.failures, []);
  t.diagnostic(`${writer.done()} changes over ${KILLS} killed leaders`);
  const { out } = await tier.duckctl("events", "--type", "nodes", "-o", "json");
  const told = JSON.parse(out) as readonly { readonly message: string }[];
  for (const { addr, changes } of writer.lanes) {
    const seen = told.filter(({ message }) => message.endsWith(`"${addr}"`)).map(({ message }) => message);
    const wanted = changes.map((what) => `${what} "${addr}"`);
    // What the tier keeps of the past is bounded.
    assert.deepEqual(seen, wanted.slice(-seen.length));
    assert.ok(seen.length > 0);
  }
});

test("a leader that stood still, and was followed, answers nothing that is not true any more", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: "clusters: {web: {type: tcp}}" });
  await tier.settled();
  const leader = await tier.leader();
  const others = tier.members.map(({ id }) => id).filter((id) => id !== leader.id);
  const made = await tier.duckctl("tokens", "create", "c9", "-o", "json");
  const { id: token } = JSON.parse(made.out) as { id: string };
  // Connections that are there already: questions wait in the sockets of whoever stands still, before the others' words.
  const clients = Array.from({ length: 10 }, () => createGrpcClient(ControlService, leader.grpc));
  atEnd(t, () => {
    for (const client of clients) client.close();
  });
  await Promise.all(clients.map(({ call }) => call.listJoinTokens({})));

  leader.program().signal("SIGSTOP");
  const questions = Promise.all(
    clients.map(async ({ call }) => Promise.all([call.listJoinTokens({}), call.listCoordinators({})])),
  );
  await eventually("the token is revoked", async () => {
    const { code } = await tier.ask(others[0] ?? "", "tokens", "revoke", token);
    return code === 0;
  });
  const successor = await tier.leader(others);
  leader.program().signal("SIGCONT");

  for (const [{ tokens }, { leaderId }] of await questions) {
    assert.deepEqual(
      tokens.map(({ id, state }) => [id, state]),
      [[token, "revoked"]],
    );
    assert.equal(leaderId, successor.id);
  }
});

async function levelOf(tier: CoordinatorTier): Promise<number> {
  const { out } = await tier.duckctl("status", "-o", "json");
  return (JSON.parse(out || "{}") as { featureLevel?: number }).featureLevel ?? 0;
}

type Lane = { readonly addr: string; readonly changes: ("added" | "removed")[] };

function startWriter(tier: CoordinatorTier) {
  const client = createTierClient({ servers: tier.members.map(({ grpc }) => grpc), tls: null }, false);
  const failures: unknown[] = [];
  const lanes = Array.from({ length: LANES }, (_, at): Lane => ({
    addr: `10.0.0.${at + 1}:80`,
    changes: [],
  }));
  let isStopped = false;
  const call = { timeoutMs: PATIENCE_MS };
  const work = lanes.map(async ({ addr, changes }) => {
    const node = { cluster: "web", addr };
    while (!isStopped) {
      try {
        const { isUnchanged } = await client.control.addNode({ node, isIdempotent: false }, call);
        assert.equal(isUnchanged, false);
        changes.push("added");
        await client.control.removeNode({ node }, call);
        changes.push("removed");
      } catch (thrown) {
        failures.push(thrown);
        return;
      }
    }
  });
  return {
    lanes,
    failures,
    hasFailed: () => failures.length > 0,
    done: () => lanes.reduce((sum, { changes }) => sum + changes.length, 0),
    stop: async () => {
      isStopped = true;
      await Promise.all(work);
      client.close();
    },
  };
}
