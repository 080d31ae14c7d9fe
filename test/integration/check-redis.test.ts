import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import type { Check } from "../../checks/check.js";
import { createBasicCheck } from "../../checks/redis/basic.js";
import { FRESH_EVERY_RUNS } from "../../checks/redis/fresh-probe.js";
import { createInfoCheck } from "../../checks/redis/info.js";
import type { JsonObject } from "../../common/config/model.js";
import { parseAddress } from "../../common/model/address.js";
import type { Observation } from "../../common/model/observation.js";
import { atEnd, temporaryFolder } from "../support/at-end.js";
import { makeCheck, summary } from "../support/check-context.js";
import { startFakeServer } from "../support/fake-server.js";
import { freePort } from "../support/free-port.js";
import { startRedis, type RedisServer, type RedisServerOptions } from "../support/redis-server.js";

const TIMEOUT_MS = 400;

async function server(t: TestContext, options: RedisServerOptions = {}): Promise<RedisServer> {
  const redis = await startRedis(options);
  atEnd(t, () => redis.stop());
  return redis;
}

function client(t: TestContext, redis: RedisServer, password?: string): Redis {
  const admin = new Redis({
    port: redis.port,
    host: "127.0.0.1",
    enableReadyCheck: false,
    ...(password === undefined ? {} : { password }),
  });
  admin.on("error", () => undefined);
  atEnd(t, () => admin.disconnect());
  return admin;
}

function check(
  t: TestContext,
  type: "basic" | "info",
  addr: string,
  options: JsonObject,
  onConnectionLost?: () => void,
) {
  const create = type === "basic" ? createBasicCheck : createInfoCheck;
  return makeCheck(t, create, {
    type,
    address: parseAddress(addr),
    options,
    timeoutMs: TIMEOUT_MS,
    onConnectionLost,
  });
}

function run(made: Check, timeoutMs = TIMEOUT_MS): Promise<Observation> {
  return made.run(AbortSignal.timeout(timeoutMs));
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Waited 10 s in vain until ${what}`);
    await delay(10);
  }
}

test("basic passes on a healthy server and keeps one named connection", async (t) => {
  const redis = await server(t);
  const admin = client(t, redis);
  const made = check(t, "basic", redis.addr, {});

  const seen = [await run(made), await run(made), await run(made)];

  assert.deepEqual(seen.map(summary), ["passed", "passed", "passed"]);
  const clients = (await admin.call("CLIENT", "LIST")) as string;
  assert.equal(clients.split("name=clusterduck-check").length - 1, 1);
});

test("basic works over a unix socket", async (t) => {
  const redis = await server(t);
  const made = check(t, "basic", `unix:${redis.socketPath}`, {});

  assert.equal(summary(await run(made)), "passed");
});

test("basic compares replies with what is expected, and names the first command that fails", async (t) => {
  const redis = await server(t);
  const cases: readonly (readonly [JsonObject, string, RegExp?])[] = [
    [{ commands: [["SET", "x", "y"], { command: "GET x", expect: "y" }] }, "passed"],
    [{ commands: [{ command: ["INCR", "n"], expect: { type: "integer" } }] }, "passed"],
    [{ commands: [{ command: ["GET", "nothing"], expect: { type: "nil" } }] }, "passed"],
    [{ commands: [{ command: ["hgetall", "nothing"], expect: { type: "array" } }] }, "passed"],
    [{ commands: [{ command: ["PING"], expect: { regex: "^PO" } }] }, "passed"],
    [
      { commands: [["PING"], { command: ["GET", "x"], expect: "z" }] },
      "failed/mismatch",
      /GET.*expected "z", got "y"/,
    ],
    [{ commands: [{ command: ["PING"], expect: { regex: "^X" } }] }, "failed/mismatch", /PONG/],
    [{ commands: [["NOSUCH"], ["PING"]] }, "failed/mismatch", /NOSUCH: ERR unknown command/],
    [{ commands: [["PING"]], database: 99 }, "inconclusive/mismatch", /index is out of range/],
  ];
  for (const [options, expected, detail] of cases) {
    const seen = await run(check(t, "basic", redis.addr, options));

    assert.equal(summary(seen), expected, JSON.stringify(options));
    if (detail !== undefined && seen.outcome !== "passed") assert.match(seen.detail, detail);
  }
});

test("a refused connection is refused, and a killed server too, in the same run that meets the closed connection", async (t) => {
  const nobody = check(t, "basic", `127.0.0.1:${await freePort()}`, {});
  assert.equal(summary(await run(nobody)), "failed/refused");

  const redis = await server(t);
  let losses = 0;
  const made = check(t, "basic", redis.addr, {}, () => losses++);
  assert.equal(summary(await run(made)), "passed");
  await redis.kill("SIGKILL");
  await until(() => losses === 1, "the loss of the idle connection was told");

  assert.equal(summary(await run(made)), "failed/refused");
});

test("a connection that the server dropped between runs is replaced within the run", async (t) => {
  const redis = await server(t);
  const admin = client(t, redis);
  const made = check(t, "basic", redis.addr, {});
  assert.equal(summary(await run(made)), "passed");

  await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");

  assert.equal(summary(await run(made)), "passed");
});

test("a frozen server times out, overlapping runs do not hurt, and it passes again once it wakes", async (t) => {
  const redis = await server(t);
  const made = check(t, "basic", redis.addr, {});
  assert.equal(summary(await run(made)), "passed");
  await redis.kill("SIGSTOP");

  const seen = await Promise.all([run(made), run(made), run(made)]);
  await redis.kill("SIGCONT");

  assert.deepEqual(seen.map(summary), ["failed/timedOut", "failed/timedOut", "failed/timedOut"]);
  for (const { latencyMs } of seen) assert.ok(latencyMs < TIMEOUT_MS + 200, `took ${latencyMs} ms`);
  assert.equal(summary(await run(made)), "passed");
});

test("wrong or missing credentials are inconclusive; right ones pass, from a file too, also after a rotation", async (t) => {
  const redis = await server(t, { config: { requirepass: "old" } });
  const admin = client(t, redis, "old");
  await admin.call("ACL", "SETUSER", "limited", "on", ">secret", "+ping");
  const dir = await temporaryFolder(t, "duck-secret-");
  const file = join(dir, "password");
  await writeFile(file, "old\n");
  const byFile = check(t, "basic", redis.addr, { password_file: file });

  assert.equal(summary(await run(check(t, "basic", redis.addr, {}))), "inconclusive/auth");
  assert.equal(summary(await run(check(t, "basic", redis.addr, { password: "wrong" }))), "inconclusive/auth");
  assert.equal(summary(await run(check(t, "basic", redis.addr, { password: "old" }))), "passed");
  const limited = { username: "limited", password: "secret" };
  assert.equal(summary(await run(check(t, "basic", redis.addr, limited))), "passed");
  assert.equal(summary(await run(check(t, "info", redis.addr, limited))), "inconclusive/auth");
  assert.equal(summary(await run(byFile)), "passed");

  await admin.call("CONFIG", "SET", "requirepass", "new");
  await writeFile(file, "new\n");
  await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  assert.equal(summary(await run(byFile)), "passed");

  const unreadable = await run(check(t, "basic", redis.addr, { password_file: join(dir, "none") }));
  assert.equal(summary(unreadable), "inconclusive/internal");
});

test("a password that the server does not need is a warning", async (t) => {
  const redis = await server(t);

  const seen = await run(check(t, "basic", redis.addr, { password: "needless" }));

  assert.equal(seen.outcome, "passed");
  assert.match(seen.outcome === "passed" ? (seen.warnings?.join() ?? "") : "", /needs none/);
});

test("OOM, NOREPLICAS and READONLY are degraded: not writable, in basic and, where INFO tells, in info", async (t) => {
  const full = await server(t, { config: { maxmemory: "1mb", "maxmemory-policy": "noeviction" } });
  const lonely = await server(t, { config: { "min-replicas-to-write": "1" } });
  const replica = await server(t, { config: { replicaof: `127.0.0.1 ${full.port}` } });
  const set = { commands: [["SET", "x", "y"]] };

  for (const redis of [full, lonely, replica]) {
    assert.equal(summary(await run(check(t, "basic", redis.addr, set))), "degraded/notWritable", redis.addr);
  }
  assert.equal(summary(await run(check(t, "info", full.addr, {}))), "degraded/notWritable");
  assert.equal(summary(await run(check(t, "info", lonely.addr, {}))), "degraded/notWritable");
});

test("a failed save that stops writes is degraded: not writable", async (t) => {
  const redis = await server(t, { config: { save: "3600 100000" } });
  const admin = client(t, redis);
  await admin.call("SET", "x", "y");
  // A save into a directory that vanished fails.
  await rm(redis.dir, { recursive: true });
  await admin.call("BGSAVE");
  await until(
    async () => String(await admin.info("persistence")).includes("rdb_last_bgsave_status:err"),
    "the save failed",
  );

  const seen = await run(check(t, "info", redis.addr, {}));

  assert.equal(summary(seen), "degraded/notWritable");
  assert.equal(seen.facts?.role, "primary");
});

test("a server at its client limit is degraded: told at once by a new check, and by fresh connections to an old one", async (t) => {
  const redis = await server(t);
  const admin = client(t, redis);
  const old = check(t, "basic", redis.addr, {});
  assert.equal(summary(await run(old)), "passed");
  await admin.call("CONFIG", "SET", "maxclients", "2");

  assert.equal(summary(await run(check(t, "basic", redis.addr, {}))), "degraded/connectionLimit");
  const seen: string[] = [];
  await until(async () => {
    seen.push(summary(await run(old)));
    return seen.at(-1) === "degraded/connectionLimit";
  }, "the old check noticed");
  assert.ok(seen.length <= 2 * FRESH_EVERY_RUNS, `took ${seen.length} runs`);
  await admin.call("CONFIG", "SET", "maxclients", "100");
  await until(async () => summary(await run(old)) === "passed", "the old check passed again");
});

test("a busy script is degraded", async (t) => {
  const redis = await server(t, { config: { "busy-reply-threshold": "20" } });
  const admin = client(t, redis);
  const made = check(t, "basic", redis.addr, {});
  const info = check(t, "info", redis.addr, {});
  await run(made);
  const script = admin.call("EVAL", "while true do end", "0").catch(() => undefined);
  await delay(60);

  assert.equal(summary(await run(made)), "degraded/busy");
  assert.equal(summary(await run(info)), "degraded/busy");
  await client(t, redis).call("SCRIPT", "KILL");
  await script;
});

test("paused writes are degraded rather than timed out, and a wholly paused server times out", async (t) => {
  const redis = await server(t);
  const admin = client(t, redis);
  const set = check(t, "basic", redis.addr, { commands: [["SET", "x", "y"]] });
  const info = check(t, "info", redis.addr, { canary: "duck:canary" });
  assert.equal(summary(await run(info)), "passed");
  assert.equal(await admin.get("duck:canary"), "clusterduck");

  await admin.call("CLIENT", "PAUSE", "60000", "WRITE");
  assert.equal(summary(await run(set)), "degraded/notWritable");
  assert.equal(summary(await run(info)), "degraded/notWritable");
  assert.equal(summary(await run(set)), "degraded/notWritable");
  await admin.call("CLIENT", "UNPAUSE");
  assert.equal(summary(await run(set)), "passed");

  await admin.call("CLIENT", "PAUSE", "1500", "ALL");
  assert.equal(summary(await run(set)), "failed/timedOut");
});

test("info collects facts, checks the role and sees a replica through its life", async (t) => {
  const primary = await server(t);
  const replica = await server(t, {
    config: { replicaof: `127.0.0.1 ${primary.port}`, "repl-diskless-sync-delay": "0" },
  });
  const made = check(t, "info", replica.addr, { max_lag: "10s" });
  await until(async () => summary(await run(made)) === "passed", "the replica had synchronised");

  const seen = await run(made);
  assert.equal(seen.facts?.role, "replica");
  assert.equal(seen.facts.primary, `127.0.0.1:${primary.port}`);
  assert.equal(seen.facts.link, "connected");
  assert.match(seen.facts.run_id ?? "", /^[0-9a-f]{40}$/);
  assert.match(seen.facts.redis_version ?? "", /^\d+\.\d+/);
  assert.ok(Number(seen.facts.lag_seconds) >= 0);
  assert.ok(Number(seen.facts.round_trip_p99_ms) > 0);
  const above = check(t, "info", primary.addr, { require_role: "primary" });
  // The primary calls a replica online at its first acknowledgement, some time after the replica is ready.
  const online = new RegExp(`^127.0.0.1:${replica.port}=\\d+$`);
  await until(
    async () => online.test((await run(above)).facts?.replica_lag_bytes ?? ""),
    "the primary counted it",
  );
  assert.equal(summary(await run(above)), "passed");
  assert.equal(
    summary(await run(check(t, "info", replica.addr, { require_role: "primary" }))),
    "degraded/mismatch",
  );

  await primary.kill("SIGKILL");
  await until(async () => summary(await run(made)) === "degraded/staleReplica", "the lost link showed");
  assert.equal(summary(await run(check(t, "info", replica.addr, { stale_replica: "allowed" }))), "passed");
  assert.equal(
    summary(await run(check(t, "info", replica.addr, { stale_replica: "failed" }))),
    "failed/staleReplica",
  );
  await client(t, replica).call("CONFIG", "SET", "replica-serve-stale-data", "no");
  assert.equal(summary(await run(check(t, "basic", replica.addr, {}))), "degraded/staleReplica");
});

test("a replica that never synchronised fails: it would answer nil to every read", async (t) => {
  const replica = await server(t, { config: { replicaof: `127.0.0.1 ${await freePort()}` } });

  const seen = await run(check(t, "info", replica.addr, { stale_replica: "allowed" }));

  assert.equal(summary(seen), "failed/staleReplica");
});

test("a loading server fails as loading, with its own estimate, and passes afterwards", async (t) => {
  const first = await startRedis({ config: { "rdb-key-save-delay": "0" } });
  atEnd(t, () => first.stop());
  const admin = client(t, first);
  await admin.call("DEBUG", "POPULATE", "3000");
  await admin.call("SAVE");
  await first.kill("SIGKILL");
  const again = await server(t, {
    dir: first.dir,
    // Loading takes about a second, and looks at its clients often.
    config: { "key-load-delay": "300", "loading-process-events-interval-bytes": "1024" },
  });

  const basic = await run(check(t, "basic", again.addr, {}));
  const info = await run(check(t, "info", again.addr, {}));

  assert.equal(summary(basic), "failed/loading");
  assert.equal(summary(info), "failed/loading");
  assert.match(info.facts?.loading_eta_seconds ?? "", /^\d+$/);
  const made = check(t, "basic", again.addr, {});
  await until(async () => summary(await run(made)) === "passed", "the server had loaded");
});

test("what is not Redis fails as a protocol error", async (t) => {
  const http = await startFakeServer((socket) =>
    socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
  );
  atEnd(t, () => http.stop());
  const unasked = await startFakeServer((socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"));
  atEnd(t, () => unasked.stop());

  assert.equal(summary(await run(check(t, "basic", http.addr, {}))), "failed/protocol");
  assert.equal(summary(await run(check(t, "basic", unasked.addr, {}))), "failed/protocol");
});

test("replies without end, huge arrays and trickles cost bounded time and memory", async (t) => {
  const megabyte = Buffer.alloc(1024 * 1024, "x");
  const endless = await startFakeServer((socket) => {
    socket.write("$999999999\r\n");
    const pour = (): void => {
      while (!socket.destroyed && socket.write(megabyte));
    };
    socket.on("drain", pour);
    pour();
  });
  const array = await startFakeServer((socket) => socket.once("data", () => socket.write("*30000000\r\n")));
  const trickle = await startFakeServer((socket: Socket) => {
    socket.write("$");
    const timer = setInterval(() => socket.write("1"), 50);
    socket.on("close", () => clearInterval(timer));
  });
  for (const fake of [endless, array, trickle]) atEnd(t, () => fake.stop());
  const beforeBytes = process.memoryUsage().rss;

  assert.equal(summary(await run(check(t, "basic", endless.addr, {}))), "failed/tooLarge");
  assert.equal(summary(await run(check(t, "basic", array.addr, {}))), "failed/protocol");
  const seen = await run(check(t, "basic", trickle.addr, {}));

  assert.equal(summary(seen), "failed/timedOut");
  assert.ok(seen.latencyMs < TIMEOUT_MS + 200);
  const grownBytes = process.memoryUsage().rss - beforeBytes;
  assert.ok(grownBytes < 64 * 1024 * 1024, `grew by ${grownBytes} bytes`);
});

test("close() ends every connection and lets a run in flight settle", async (t) => {
  const silent = await startFakeServer((socket) => socket.resume());
  atEnd(t, () => silent.stop());
  const made = check(t, "basic", silent.addr, {});
  const seen = run(made, 30_000);
  await until(() => silent.sockets.size === 1, "the check had connected");

  made.close();
  made.close();

  assert.equal((await seen).outcome, "failed");
  await until(() => silent.sockets.size === 0, "the connection had ended");
});

test("hundreds of connections of a check in trouble are never open at once", async (t) => {
  const silent = await startFakeServer((socket) => socket.resume());
  atEnd(t, () => silent.stop());
  const made = check(t, "basic", silent.addr, {});

  for (let index = 0; index < 30; index++) await run(made, 20);

  await until(() => silent.sockets.size <= 2, "only two connections were left");
  assert.ok(silent.accepted() >= 10);
});

test("the client of a server that resets connections sees a reset or a close, never a crash", async (t) => {
  const rude = await startFakeServer((socket) => socket.resetAndDestroy());
  atEnd(t, () => rude.stop());
  const made = check(t, "basic", rude.addr, {});

  for (let index = 0; index < 20; index++) {
    assert.match(summary(await run(made)), /^failed\/(reset|closed)$/);
  }
});
