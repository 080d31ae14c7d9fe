/** A tier of two versions: the older program is built from these sources with a lower feature level. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { createGrpcClient } from "../../common/grpc/client.js";
import { VERSION } from "../../common/version.js";
import { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { atEnd } from "../support/at-end.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier, TierProcess } from "../support/coordinator-tier.js";
import { olderPrograms } from "../support/older-programs.js";
import { runProgram } from "../support/program.js";

const OLD = "0.9.0";

type Status = {
  readonly featureLevel: number;
  readonly coordinators: readonly { id: string; state: string; version: string; featureLevel: number }[];
};

test("two versions work together, the level rises with the last upgrade, and then an old one is refused", async (t) => {
  const older = await olderPrograms(t, { version: OLD, featureLevel: 0 });
  const isOld = new Set(["c1", "c2"]);
  const tier = await startCoordinatorTier(t, {
    yaml: "clusters: {web: {type: tcp}}",
    programs: (id) => (isOld.has(id) ? older : undefined),
  });
  await tier.settled();
  await eventually(
    "all have told their version",
    async () => levelsOf(await statusOf(tier)) === "c1:0 c2:0 c3:1",
  );

  for (const [at, { id }] of tier.members.entries()) {
    const added = await tier.ask(id, "nodes", "add", "web", `10.0.0.${at + 1}:80`);
    assert.equal(added.code, 0, added.err);
  }
  // A newer leader holds back what an older member would not understand.
  const led = await tier.duckctl("coordinators", "transfer-leader", "c3");
  assert.match(`${led.code} ${led.err}`, /^0|it leads already/);
  assert.match(await repeated(t, tier.of("c3"), "10.0.1.1:80"), /^CONFLICT/);

  await upgrade(tier.of("c1"), isOld);
  await eventually("c1 tells its level", async () => levelsOf(await statusOf(tier)) === "c1:1 c2:0 c3:1");
  assert.equal((await tier.duckctl("nodes", "add", "web", "10.0.0.4:80")).code, 0);
  assert.equal((await statusOf(tier)).featureLevel, 0);

  await upgrade(tier.of("c2"), isOld);
  await eventually("the level rises", async () => (await statusOf(tier)).featureLevel === 1);
  await eventually("all know it", async () => {
    const told = await Promise.all(
      tier.members.map(async ({ id }) => (await statusOf(tier, id)).featureLevel),
    );
    return told.every((level) => level === 1);
  });
  assert.equal(await repeated(t, tier.of("c1"), "10.0.1.2:80"), "the same index");

  const third = tier.of("c3");
  third.program().signal("SIGTERM");
  await third.program().ended;
  isOld.add("c3");
  const refused = third.launch();
  assert.notEqual(await refused.ended, 0);
  assert.match(
    refused.text(),
    new RegExp(`version ${escaped(OLD)} \\(feature level 0\\).*level 1 with version ${escaped(VERSION)}`),
  );
  assert.match(refused.text(), new RegExp(`Start version ${escaped(VERSION)} or a newer one`, "i"));
  isOld.delete("c3");
  await third.start();

  const stranger = await tier.prepare("c4");
  const { out } = await tier.duckctl("tokens", "create", "c4", "-o", "name");
  const args = ["join", tier.of("c1").raft, "--token", out.trim(), "-c", stranger.file];
  const join = runProgram("duck-coordinator", args, process.env, [], older);
  assert.notEqual(await join.ended, 0);
  assert.match(
    join.text(),
    new RegExp(`"c4" is of version ${escaped(OLD)} .*level 1 with version ${escaped(VERSION)}`),
  );
});

async function upgrade(member: TierProcess, isOld: Set<string>): Promise<void> {
  member.program().signal("SIGTERM");
  assert.equal(await member.program().ended, 0);
  isOld.delete(member.id);
  await member.start();
}

async function statusOf(tier: CoordinatorTier, id?: string): Promise<Status> {
  const args = ["status", "-o", "json"];
  const { out } = await (id === undefined ? tier.duckctl(...args) : tier.ask(id, ...args));
  return JSON.parse(out) as Status;
}

function levelsOf({ coordinators }: Status): string {
  return coordinators
    .map(({ id, version, featureLevel }) => `${id}:${version === "" ? "?" : featureLevel}`)
    .join(" ");
}

/** Adds a node twice under one request id: what the second attempt is told. */
async function repeated(t: TestContext, member: TierProcess, addr: string): Promise<string> {
  const client = createGrpcClient(ControlService, member.grpc);
  atEnd(t, () => client.close());
  const request = { node: { cluster: "web", addr }, requestId: `r-${addr.replaceAll(/[.:]/g, "-")}` };
  const first = await client.call.addNode(request);
  try {
    const second = await client.call.addNode(request);
    return second.index === first.index && !second.isUnchanged ? "the same index" : "another index";
  } catch (thrown) {
    return (thrown as { readonly code: string }).code;
  }
}

function escaped(text: string): string {
  return text.replaceAll(".", "\\.");
}
