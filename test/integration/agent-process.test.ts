import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { atEnd, temporaryFolder } from "../support/at-end.js";
import { HandState, startCoordinator, until } from "../support/fleet-harness.js";

const PROGRAM = fileURLToPath(new URL("../../agent/program.ts", import.meta.url));

test("a stopped agent is lost by its silence, found when it goes on, and says so when it ends", async (t) => {
  const service = createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
  await once(service, "listening");
  atEnd(t, () => service.close());
  const { port } = service.address() as AddressInfo;
  const state = new HandState();
  state.checks = [{ id: "tcp", type: "tcp", options: {}, everyMs: 200, timeoutMs: 200, fall: 3, rise: 2 }];
  state.add([`127.0.0.1:${port}`]);
  const { address, heard, fleet } = await startCoordinator(t, { state, tuning: { heartbeatMinMs: 500 } });
  const dir = await temporaryFolder(t);
  const file = join(dir, "agent.yaml");
  await writeFile(
    file,
    `clusters: {}\nagent: { id: a1, coordinators: ["${address}"], state_dir: "${dir}" }\n`,
  );
  const agent = spawn(process.execPath, ["--import", "tsx", PROGRAM, "-c", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const log: string[] = [];
  agent.stderr.setEncoding("utf8").on("data", (text: string) => log.push(text));
  atEnd(t, async () => {
    if (agent.exitCode !== null || agent.signalCode !== null) return;
    const exited = once(agent, "exit");
    agent.kill("SIGKILL");
    await exited;
  });
  const passes = () => heard.reports.filter(({ observation }) => observation.outcome === "passed").length;
  await until(() => passes() > 3, "real checks report passes", 20_000);

  agent.kill("SIGSTOP");
  await until(() => heard.events.length === 2, "lost", 15_000);
  assert.match(heard.events[1] ?? "", /^lost a1: silent for \d+ ms$/);
  assert.equal(fleet.sessions()[0]?.isConnected, false);
  const before = passes();
  agent.kill("SIGCONT");
  await until(() => heard.events.length === 3, "found again", 20_000);
  await until(() => passes() > before + 3, "it reports again", 15_000);
  agent.kill("SIGTERM");
  const [code] = (await once(agent, "exit")) as [number];

  assert.equal(heard.events[2], "found a1");
  await until(() => heard.events.length === 4, "lost for good");
  assert.deepEqual([code, heard.events[3]], [0, "lost a1: the agent stopped"], log.join(""));
});
