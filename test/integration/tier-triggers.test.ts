/** What becomes of a trigger's command when the coordinator that began it is killed, or handed over, in a tier of three. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier } from "../support/coordinator-tier.js";

type Run = {
  readonly id: string;
  readonly outcome: string;
  readonly exitCode: number | null;
  readonly attempts: number;
  readonly outputTail: string;
  readonly error: string;
};

const WAITS = "while [ ! -e go ]; do sleep 0.05; done";

test("a killed leader's command goes on, is not repeated by its successor, and is recorded when its host is back", async (t) => {
  const { tier, begun } = await startRun(
    t,
    `retries: 2, commands: ['echo x >> begun; ${WAITS}; echo last words']`,
  );

  const old = await tier.leader();
  await old.program().kill();
  const successor = await tier.leader(othersThan(tier, old.id));
  await addNode(tier, "10.0.0.2:80");
  const without = await runsOf(tier);
  await old.start();
  await eventually("it is back", async () => (await rolesOf(tier)).get(old.id) === "follower");
  writeFileSync(join(tier.folder, "go"), "");
  const runs = await eventually("both have ended", async () => {
    const found = await runsOf(tier);
    return found.every(({ outcome }) => outcome === "succeeded") && found;
  });

  assert.deepEqual(
    without.map(({ outcome, attempts }) => [outcome, attempts]),
    [
      ["started", 1],
      ["pending", 0],
    ],
  );
  assert.deepEqual(
    runs.map(({ attempts, exitCode, outputTail }) => [attempts, exitCode, outputTail]),
    [
      [1, 0, "last words\n"],
      [1, 0, "last words\n"],
    ],
  );
  assert.equal(begun().length, 2, "one command for each event");
  assert.notEqual(successor.id, old.id);
});

test("a run whose coordinator does not come back is given up at its time limit, and the next one goes on", async (t) => {
  const { tier, begun } = await startRun(t, `timeout: 1s, commands: ['echo x >> begun; ${WAITS}']`);

  const old = await tier.leader();
  await old.program().kill();
  await tier.leader(othersThan(tier, old.id));
  writeFileSync(join(tier.folder, "go"), "");
  await addNode(tier, "10.0.0.2:80");
  const runs = await eventually("the next run has ended", async () => {
    const found = await runsOf(tier);
    return found[1]?.outcome === "succeeded" && found;
  });

  assert.equal(runs[0]?.outcome, "failed");
  assert.match(runs[0].error, /has not come back to tell how it ended/);
  assert.deepEqual([runs[0].attempts, begun().length], [1, 2]);
});

test("a leader that is told to stop records its run, and hands over", async (t) => {
  const { tier, begun } = await startRun(t, `commands: ['echo x >> begun; ${WAITS}; echo last words']`);

  const old = await tier.leader();
  old.program().signal("SIGTERM");
  await old.program().event(({ event }) => event === "coordinator.stopping");
  writeFileSync(join(tier.folder, "go"), "");
  assert.equal(await old.program().ended, 0);
  await addNode(tier, "10.0.0.2:80");
  const runs = await eventually("both have ended", async () => {
    const found = await runsOf(tier);
    return found.length === 2 && found.every(({ outcome }) => outcome === "succeeded") && found;
  });

  assert.equal(runs[0]?.outputTail, "last words\n");
  assert.deepEqual(
    runs.map(({ attempts }) => attempts),
    [1, 1],
  );
  assert.equal(begun().length, 2);
  assert.ok(old.program().events.some(({ event }) => event === "tier.handed_over"));
});

/** A tier whose leader's trigger command has begun. */
async function startRun(t: TestContext, action: string) {
  const tier = await startCoordinatorTier(t, {
    yaml: `clusters: {web: {type: tcp, pass_without_checks: true, triggers: [{name: t, on: [nodes], do: [{type: shell, cwd: FOLDER, ${action}}]}]}}`,
  });
  await tier.settled();
  const begun = (): readonly string[] => linesOf(join(tier.folder, "begun"));
  await addNode(tier, "10.0.0.1:80");
  await eventually("the command begins", async () => begun().length === 1);
  return { tier, begun };
}

/** Whoever leads by then: one that just went may still be asked first. */
async function addNode(tier: CoordinatorTier, addr: string): Promise<void> {
  await eventually(`${addr} is added`, async () => {
    const { code } = await tier.duckctl("nodes", "add", "web", addr, "--if-absent");
    return code === 0;
  });
}

/** In the order of their events. */
async function runsOf(tier: CoordinatorTier): Promise<readonly Run[]> {
  const { out } = await tier.duckctl("triggers", "runs", "web", "-o", "json");
  const runs = JSON.parse(out || "[]") as Run[];
  return [...runs].sort((left, right) => Number(left.id) - Number(right.id));
}

async function rolesOf(tier: CoordinatorTier): Promise<ReadonlyMap<string, string>> {
  const { out } = await tier.duckctl("coordinators", "list", "-o", "json");
  const rows = JSON.parse(out || "[]") as { id: string; role: string }[];
  return new Map(rows.map(({ id, role }) => [id, role]));
}

function othersThan(tier: CoordinatorTier, id: string): readonly string[] {
  return tier.members.map((member) => member.id).filter((each) => each !== id);
}

function linesOf(path: string): readonly string[] {
  try {
    return readFileSync(path, "utf8").trim().split("\n");
  } catch {
    return [];
  }
}
