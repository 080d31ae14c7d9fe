/** Members and agents learn from the tier where its members are, also those that joined after they were configured. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { atEnd } from "../support/at-end.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier, TierProcess } from "../support/coordinator-tier.js";
import { runProgram } from "../support/program.js";
import type { RunningProgram } from "../support/program.js";
import { startWebServer } from "../support/web-server.js";

test("an agent that was told of c1 alone works with c2 to c4 when c1 is gone, and after its own restart", async (t) => {
  const server = await startWebServer();
  t.after(() => server.stop());
  const tier = await startCoordinatorTier(t, {
    yaml: `clusters: {web: {type: tcp, nodes: ["${server.addr}"], health_checks: [{type: tcp, every: 200ms}]}}`,
  });
  await tier.settled();
  const agentFile = join(tier.folder, "agent.yaml");
  await writeFile(
    agentFile,
    `agent: {id: a1, coordinators: ["${tier.of("c1").grpc}"], state_dir: ${join(tier.folder, "agent")}}\n`,
  );
  let agent = startAgent(t, agentFile);
  await connected(agent, [tier.of("c1"), tier.of("c2"), tier.of("c3")]);

  const token = (await tier.duckctl("tokens", "create", "c4", "-o", "name")).out.trim();
  const fourth = await tier.prepare("c4");
  const joined = runProgram("duck-coordinator", [
    "join",
    tier.of("c3").raft,
    "--token",
    token,
    "-c",
    fourth.file,
  ]);
  t.after(() => joined.kill());
  assert.equal(await joined.ended, 0, joined.text());
  await fourth.start();
  await connected(agent, [fourth]);
  await eventually("c4 votes", async () =>
    /^c4 +follower/m.test((await tier.duckctl("coordinators", "list")).out),
  );

  assert.equal((await tier.duckctl("coordinators", "remove", "c1", "--yes")).code, 0);
  const first = tier.of("c1");
  first.program().signal("SIGTERM");
  await first.program().ended;
  await agentIs(tier, "connected");

  // Its configuration names nobody that there is any more.
  agent.signal("SIGTERM");
  assert.equal(await agent.ended, 0);
  await agentIs(tier, "lost");
  agent = startAgent(t, agentFile);
  await connected(agent, [tier.of("c2"), tier.of("c3"), fourth]);
  await agentIs(tier, "connected");

  // And it is the agent's eyes that the tier sees with.
  await server.stop();
  await eventually("the node is down", async () => {
    const { out } = await tier.ask("c4", "nodes", "list", "web", "-o", "json");
    return (JSON.parse(out || "[]") as { state: string }[])[0]?.state === "down";
  });
  const { out: explained } = await tier.ask("c2", "explain", `web/${server.addr}`);
  assert.match(explained, /a1/);
});

async function connected(agent: RunningProgram, members: readonly TierProcess[]): Promise<void> {
  for (const { grpc } of members)
    await agent.event((line) => line.event === "stream.connected" && line["coordinator"] === grpc);
}

async function agentIs(tier: CoordinatorTier, state: string): Promise<void> {
  await eventually(`the agent is ${state}`, async () => {
    const { out } = await tier.ask("c2", "agents", "list", "-o", "json");
    return (JSON.parse(out || "[]") as { id: string; state: string }[]).some(
      (each) => each.id === "a1" && each.state === state,
    );
  });
}

function startAgent(t: TestContext, file: string): RunningProgram {
  const program = runProgram("duck-agent", ["-c", file]);
  atEnd(t, () => program.kill());
  return program;
}
