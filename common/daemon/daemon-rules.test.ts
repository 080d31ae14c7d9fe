import assert from "node:assert/strict";
import { test } from "node:test";
import { afterCrash, NO_CRASHES } from "./backoff.js";
import { parseMessage, readRole } from "./messages.js";
import { supervisorOf } from "./supervisor.js";

test("restarts wait longer each time, up to half a minute, and begin anew after a good minute", () => {
  let crashes = NO_CRASHES;
  const delays: number[] = [];
  for (let count = 0; count < 9; count++) {
    const next = afterCrash(crashes, 1_000);
    crashes = next.crashes;
    delays.push(next.delayMs);
  }

  assert.deepEqual(delays, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(afterCrash(crashes, 61_000).delayMs, 500);
});

test("a supervisor is recognized by what it alone leaves in the environment", () => {
  assert.equal(supervisorOf({}, 100), null);
  assert.equal(supervisorOf({ NOTIFY_SOCKET: "/run/notify" }, 100), "systemd");
  assert.equal(supervisorOf({ INVOCATION_ID: "x", SYSTEMD_EXEC_PID: "100" }, 100), "systemd");
  assert.equal(supervisorOf({}, 1), "container");
  assert.equal(supervisorOf({ CLUSTERDUCK_DAEMON: "{}" }, 100), "watchdog");
});

test("a shell of a user's session, which inherits INVOCATION_ID, is no supervisor", () => {
  assert.equal(supervisorOf({ INVOCATION_ID: "x", SYSTEMD_EXEC_PID: "50" }, 100), null);
});

test("foreign values of the role variable and foreign messages are ignored", () => {
  assert.equal(readRole({}), null);
  assert.equal(readRole({ CLUSTERDUCK_DAEMON: "1" }), null);
  assert.equal(readRole({ CLUSTERDUCK_DAEMON: "{" }), null);
  assert.equal(readRole({ CLUSTERDUCK_DAEMON: '{"role":"boss","program":"x","pidFile":"y"}' }), null);
  assert.equal(parseMessage(null), null);
  assert.equal(parseMessage({ kind: "failed" }), null);
  assert.deepEqual(parseMessage({ kind: "ready", more: 1 }), { kind: "ready" });
});
