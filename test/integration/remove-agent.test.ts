import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { runAgent } from "../../agent/main.js";
import { systemClock } from "../../common/clock.js";
import { parseConfigText } from "../../common/config/load.js";
import { silentLogger } from "../../common/logger.js";
import { systemRandom } from "../../common/random.js";
import { atEnd } from "../support/at-end.js";
import { startTestTier } from "../support/test-tier.js";

test("duckctl forgets a lost agent with the nodes it declared, but not a connected one", async (t) => {
  const tier = await startTestTier({ yaml: "clusters: {web: {type: tcp, pass_without_checks: true}}" });
  atEnd(t, () => tier.stop());
  const text = "agent: {id: old, nodes: [{cluster: web, addr: 127.0.0.1:9}]}";
  const { agent } = parseConfigText(text, "agent.yaml", {});
  const stopping = new AbortController();
  const running = runAgent({
    config: { ...agent, coordinators: [tier.coordinator.grpcAddress], stateDir: join(tier.folder, "agent") },
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    signal: stopping.signal,
  });
  atEnd(t, async () => {
    stopping.abort();
    await running;
  });
  await tier.eventually(["nodes", "list", "-o", "name"], ({ out }) => out.includes("127.0.0.1:9"));

  const connected = await tier.duckctl("agents", "remove", "old");
  stopping.abort();
  await running;
  await tier.eventually(["agents", "list", "-o", "json"], ({ out }) => out.includes('"lost"'));
  const removed = await tier.duckctl("agents", "remove", "old");
  const again = await tier.duckctl("agents", "remove", "old");

  assert.equal(connected.code, 6);
  assert.match(connected.err, /Cannot remove agent "old": it is connected; stop it on /);
  assert.match(removed.out, /^agent old removed \(index \d+\)\n$/);
  assert.equal(again.code, 3);
  assert.equal((await tier.duckctl("agents", "list", "-o", "name")).out, "");
  assert.equal((await tier.duckctl("nodes", "list", "-o", "name")).out, "");
});
