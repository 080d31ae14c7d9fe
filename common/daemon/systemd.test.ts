import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLogger } from "../logger.js";
import type { Logger } from "../logger.js";
import { VirtualClock } from "../virtual-clock.js";
import { createServiceManager } from "./systemd.js";

const UNIT = { NOTIFY_SOCKET: "/run/systemd/notify" };

function record(env: Readonly<Record<string, string>>, clock = new VirtualClock()) {
  const sent: string[] = [];
  const send = async (assignments: readonly string[]) => void sent.push(assignments.join(" "));
  return { sent, clock, manager: createServiceManager({ logger: silentLogger, env, pid: 7, clock, send }) };
}

test("without a service manager nothing is sent", async () => {
  const { manager, sent } = record({ WATCHDOG_USEC: "1000000" });

  await manager.ready();
  await manager.stopping();

  assert.deepEqual(sent, []);
});

test("each change of state is told, with its status on one line", async () => {
  const { manager, sent } = record(UNIT);

  await manager.ready("serving\n3 nodes");
  await manager.reloading();
  await manager.status("2 nodes");
  await manager.stopping();

  assert.deepEqual(sent, ["READY=1 STATUS=serving 3 nodes", "RELOADING=1", "STATUS=2 nodes", "STOPPING=1"]);
});

test("a heartbeat goes out at half the watchdog's time, until it is closed", async () => {
  const { manager, sent, clock } = record({ ...UNIT, WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" });

  await clock.advance(31_000);
  manager.close();
  await clock.advance(60_000);

  assert.deepEqual(sent, ["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
});

test("a watchdog meant for another process gets no heartbeat from us", async () => {
  const { sent, clock } = record({ ...UNIT, WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" });

  await clock.advance(60_000);

  assert.deepEqual(sent, []);
});

test("the program systemd-notify carries the words, and its failure is a warning", async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "duck-notify-"));
  const path = process.env["PATH"];
  context.after(() => {
    process.env["PATH"] = path;
    rmSync(directory, { recursive: true });
  });
  process.env["PATH"] = `${directory}:${path}`;
  const program = join(directory, "systemd-notify");
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (event) => warnings.push(event) };
  const manager = createServiceManager({ logger, env: UNIT });

  writeFileSync(program, `#!/bin/sh\nprintf '%s|' "$@" >> ${directory}/said\n`);
  chmodSync(program, 0o755);
  await manager.ready("a b");
  writeFileSync(program, "#!/bin/sh\nexit 1\n");
  await manager.stopping();

  assert.equal(readFileSync(join(directory, "said"), "utf8"), "READY=1|STATUS=a b|");
  assert.deepEqual(warnings, ["systemd.notify_failed"]);
});
