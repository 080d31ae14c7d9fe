/** Real programs over mutual TLS: on loopback, on an address of this host, with each kind of wrong certificate, and renewed. */
import assert from "node:assert/strict";
import { request as httpsRequest } from "node:https";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import type { TlsConfig } from "../../common/config/model.js";
import { createGrpcClient } from "../../common/grpc/client.js";
import { localAddresses } from "../../common/net/host-identity.js";
import { VERSION } from "../../common/version.js";
import { AgentService } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import { runDuckctl } from "../support/duckctl.js";
import type { CliResult } from "../support/duckctl.js";
import { freePort } from "../support/free-port.js";
import { atEnd } from "../support/at-end.js";
import { runProgram } from "../support/program.js";
import type { RunningProgram } from "../support/program.js";
import { DAY_MS, createTlsTier } from "../support/tls.js";
import type { TestTlsTier } from "../support/tls.js";
import { until } from "../support/until.js";

let tier: TestTlsTier;
let foreign: TestTlsTier;
let admin: TlsConfig;
before(async () => {
  [tier, foreign] = await Promise.all([createTlsTier(), createTlsTier()]);
  admin = await tier.issue("client", "admin");
});
after(() => {
  tier.remove();
  foreign.remove();
});

const section = ({ ca, cert, key }: TlsConfig): string => JSON.stringify({ ca, cert, key });

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "duck-tls-run-"));
  atEnd(t, () => rmSync(path, { recursive: true, force: true, maxRetries: 20 }));
  return path;
}

type RunningTier = {
  readonly program: RunningProgram;
  readonly grpc: string;
  readonly http: string;
  readonly duckctl: (files: TlsConfig | null, ...args: string[]) => Promise<CliResult>;
};

async function startCoordinator(
  t: TestContext,
  files: TlsConfig,
  listen = 'listen: "127.0.0.1:0", http: "127.0.0.1:0"',
): Promise<RunningTier> {
  const home = folder(t);
  const file = join(home, "clusterduck.yaml");
  writeFileSync(
    file,
    `clusters: {web: {type: http, nodes: ["127.0.0.1:1"], health_checks: [{type: tcp, every: 200ms}]}}
coordinator: {id: c1, data_dir: data, ${listen}, tls: ${section(files)}}\n`,
  );
  const program = runProgram("duck-coordinator", ["-c", file]);
  atEnd(t, () => program.kill());
  const started = await program.event((line) => line.event === "coordinator.started");
  const grpc = String(started["grpc"]);
  return {
    program,
    grpc,
    http: String(started["http"]),
    duckctl: (tls, ...args) =>
      runDuckctl(args, {
        env: {
          HOME: home,
          DUCK_SERVER: grpc,
          ...(tls === null ? {} : { DUCK_CACERT: tls.ca, DUCK_CERT: tls.cert, DUCK_KEY: tls.key }),
        },
      }),
  };
}

function startAgent(t: TestContext, coordinator: string, files: TlsConfig | null, id = "a1"): RunningProgram {
  const home = folder(t);
  const file = join(home, "agent.yaml");
  const tls = files === null ? "" : `, tls: ${section(files)}`;
  writeFileSync(file, `agent: {id: ${id}, coordinators: ["${coordinator}"], state_dir: state${tls}}\n`);
  const program = runProgram("duck-agent", ["-c", file]);
  atEnd(t, () => program.kill());
  return program;
}

const isConnected = (line: { event: string }): boolean => line.event === "stream.connected";

test("coordinator, agent and duckctl work together over mutual TLS, each in its role", async (t) => {
  const { grpc, duckctl } = await startCoordinator(t, await tier.issue("member", "c1"));
  const files = await tier.issue("agent", "a1");

  await startAgent(t, grpc, files).event(isConnected);

  const agents = await duckctl(admin, "agents", "list", "-o", "name");
  assert.deepEqual([agents.code, agents.out], [0, "a1\n"], agents.err);
  const added = await duckctl(admin, "nodes", "add", "web", "127.0.0.1:2");
  assert.equal(added.code, 0, added.err);

  const denied = await duckctl(files, "status");
  assert.equal(denied.code, 7);
  assert.match(
    denied.err,
    /refuses our certificate ".*agent-a1.*": it is for agent "a1", and ControlService wants one for a client/,
  );
  assert.match(denied.err, /try: .*duckctl tls issue client NAME/);
  const plain = await duckctl(null, "status");
  assert.equal(plain.code, 4);
  assert.match(plain.err, /name certificates/);
});

test("an agent speaks under the name in its certificate and no other", async (t) => {
  const { grpc } = await startCoordinator(t, await tier.issue("member", "c1"));

  // It does not even start with another one's.
  const files = await tier.issue("agent", "a2");
  const agent = startAgent(t, grpc, files);
  assert.equal(await agent.ended, 2);
  assert.match(agent.text(), /is for agent "a2", and agent "a1" is needed here/);
  assert.match(agent.text(), /duckctl tls issue agent a1, or set id: a2/);

  // And a program that is less honest gets no further than its hello.
  const tls = await tier.open(files, "agent");
  const client = createGrpcClient(AgentService, grpc, { tls });
  atEnd(t, () => {
    client.close();
    tls.close();
  });
  const forged = async function* () {
    yield { message: { case: "hello", value: { agentId: "a1", bootId: "b1", version: VERSION } } } as const;
  };
  await assert.rejects(
    async () => {
      for await (const _answer of client.call.connect(forged())) assert.fail("it was welcomed");
    },
    {
      code: "PERMISSION_DENIED",
      message:
        /refuses our certificate ".*agent-a2.*": it is for agent "a2", and the agent calls itself "a1"/,
      hint: /duckctl tls issue agent a1, or set agent\.id to a2/,
    },
  );
});

test("each kind of wrong certificate of an agent is told on both sides", async (t) => {
  const { grpc, program } = await startCoordinator(t, await tier.issue("member", "c1"));
  const cases = [
    {
      files: await tier.issue("agent", "old", { wallMs: Date.now() - 10 * DAY_MS }),
      id: "old",
      words: /ended at/,
    },
    {
      files: await tier.issue("agent", "young", { wallMs: Date.now() + 10 * DAY_MS }),
      id: "young",
      words: /begins at/,
    },
    {
      files: await foreign.issue("agent", "mallory", { ca: `${foreign.ca}${tier.ca}` }),
      id: "mallory",
      words: /is signed by "clusterduck CA test \w+", which is not trusted here/,
    },
  ];

  for (const { files, id, words } of cases) {
    const agent = startAgent(t, grpc, files, id);
    const ended = await agent.event((line) => line.event === "stream.ended");
    const { message, hint } = ended["error"] as { message: string; hint: string };

    assert.match(message, words);
    assert.ok(message.includes(files.cert) && hint !== "", message);
    await agent.kill();
  }
  const told = await program.event((line) => line.event === "tls.refused");
  assert.match(JSON.stringify(told), /agent \\"old\\".*duckctl tls renew/);
});

test("an agent that trusts another authority refuses the coordinator, and says which file to mend", async (t) => {
  const { grpc } = await startCoordinator(t, await tier.issue("member", "c1"));
  const files = await foreign.issue("agent", "a1");

  const ended = await startAgent(t, grpc, files).event((line) => line.event === "stream.ended");

  const { message } = ended["error"] as { message: string };
  assert.match(
    message,
    /Cannot trust .*: its certificate is not signed by an authority in ".*agent-a1.*\.ca"/,
  );
});

test("a coordinator does not start with certificates that cannot work", async (t) => {
  const home = folder(t);
  const [good, agent, other] = [
    await tier.issue("member", "c1"),
    await tier.issue("agent", "c1"),
    await foreign.issue("member", "c1"),
  ];
  const cases: readonly (readonly [TlsConfig, RegExp])[] = [
    [{ ...good, cert: join(home, "none.crt") }, /tls\.cert ".*none\.crt": there is no such file/],
    [{ ...good, key: other.key }, /key ".*" does not belong to certificate/],
    [{ ...good, ca: other.ca }, /is signed by "clusterduck CA test \w+", not by an authority in/],
    [{ ...good, ca: good.cert }, /holds the certificate of member "c1", which is no authority/],
    [agent, /is for agent "c1", and member "c1" is needed here/],
    [{ ...good, key: good.cert }, /is not a private key in PEM form/],
  ];
  for (const [files, words] of cases) {
    const file = join(home, "clusterduck.yaml");
    writeFileSync(
      file,
      `coordinator: {id: c1, data_dir: data, listen: "127.0.0.1:0", http: off, tls: ${section(files)}}`,
    );
    const program = runProgram("duck-coordinator", ["-c", file]);
    atEnd(t, () => program.kill());

    assert.equal(await program.ended, 2, program.text());
    assert.match(program.text(), words);
  }
});

test("beyond loopback gRPC and HTTP want certificates, and probes do not", async (t) => {
  const host = localAddresses().find((address) => !address.includes(":"));
  if (host === undefined) {
    t.skip("this host has no address beyond loopback");
    return;
  }
  const [grpcPort, httpPort] = [await freePort(), await freePort()];
  const { grpc, http, duckctl } = await startCoordinator(
    t,
    await tier.issue("member", "c1", { hosts: [host, "localhost", "127.0.0.1"] }),
    `listen: "${host}:${grpcPort}", http: "0.0.0.0:${httpPort}"`,
  );
  assert.equal(grpc, `${host}:${grpcPort}`);

  await startAgent(t, grpc, await tier.issue("agent", "a1")).event(isConnected);
  assert.equal((await duckctl(admin, "status")).code, 0);

  const port = Number(http.split(":").at(-1));
  const live = await get({ host, port, path: "/livez", ca: tier.ca });
  assert.deepEqual(live, { code: 200, body: "ok\n" });
  const stranger = await get({ host, port, path: "/metrics", ca: tier.ca });
  assert.equal(stranger.code, 401);
  assert.match(stranger.body, /no certificate was presented.*\n.*duckctl tls issue client/);
  const { cert, key } = { cert: readFileSync(admin.cert), key: readFileSync(admin.key) };
  const metrics = await get({ host, port, path: "/metrics", ca: tier.ca, cert, key });
  assert.equal(metrics.code, 200);
  assert.match(metrics.body, /clusterduck_cert_not_after_timestamp_seconds\{certificate="own"\} \d+/);
});

test("all addresses: others are told one that they can reach, and the certificate is for it", async (t) => {
  const host = localAddresses().find((address) => !address.includes(":"));
  if (host === undefined) {
    t.skip("this host has no address beyond loopback");
    return;
  }
  const port = await freePort();
  const { duckctl } = await startCoordinator(
    t,
    await tier.issue("member", "c1", { hosts: [host, "localhost"] }),
    `listen: "0.0.0.0:${port}", http: off`,
  );

  const status = await duckctl(admin, "status", "-s", `${host}:${port}`, "-o", "json");
  assert.equal(status.code, 0, status.err);
  const { coordinators } = JSON.parse(status.out) as { coordinators: readonly { address: string }[] };
  assert.deepEqual(
    coordinators.map(({ address }) => address),
    [`${host}:${port}`],
  );
  const wrong = await duckctl(admin, "status", "-s", `127.0.0.1:${port}`);
  assert.equal(wrong.code, 7);
  assert.match(wrong.err, new RegExp(`is for ${host}, localhost, not for 127\\.0\\.0\\.1`));
});

test("new certificates are taken by SIGHUP and by themselves, and no stream breaks", async (t) => {
  const memberFiles = await tier.issue("member", "c1");
  const agentFiles = await tier.issue("agent", "a1");
  const { grpc, program, duckctl } = await startCoordinator(t, memberFiles);
  const agent = startAgent(t, grpc, agentFiles);
  await agent.event(isConnected);

  await tier.replace(
    memberFiles,
    { role: "member", name: "c1", cluster: "test" },
    { lifetimeMs: 40 * DAY_MS },
  );
  program.signal("SIGHUP");
  await until(() => reloadedEnds(program).length === 1, "the coordinator has reloaded");
  // The agent's file is seen without a signal.
  await tier.replace(agentFiles, { role: "agent", name: "a1", cluster: "test" }, { lifetimeMs: 40 * DAY_MS });
  await agent.event((line) => line.event === "tls.reloaded");

  const [ends = ""] = reloadedEnds(program);
  assert.ok(Date.parse(ends) > Date.now() + 39 * DAY_MS, ends);
  const status = await duckctl(admin, "agents", "list");
  assert.match(status.out, /a1 .*connected/);
  assert.deepEqual(
    agent.events.filter(({ event }) => event === "stream.ended"),
    [],
  );
  assert.deepEqual(
    program.events.filter(({ event }) => event === "agent.lost"),
    [],
  );
});

test("an agent whose certificate ended connects as soon as it is renewed", async (t) => {
  const { grpc } = await startCoordinator(t, await tier.issue("member", "c1"));
  const files = await tier.issue("agent", "a1", { wallMs: Date.now() - 10 * DAY_MS });
  const agent = startAgent(t, grpc, files);
  await agent.event((line) => line.event === "tls.not_valid");
  await agent.event((line) => line.event === "stream.ended");

  await tier.replace(files, { role: "agent", name: "a1", cluster: "test" });
  agent.signal("SIGHUP");

  await agent.event(isConnected);
});

test("a broken certificate is refused at a reload, and the one before goes on", async (t) => {
  const files = await tier.issue("member", "c1");
  const { program, duckctl } = await startCoordinator(t, files);
  const key = readFileSync(files.key);
  writeFileSync(files.key, "nothing");

  program.signal("SIGHUP");
  const failed = await program.event((line) => line.event === "config.reload_failed");

  assert.match(JSON.stringify(failed), /is not a private key in PEM form/);
  assert.equal((await duckctl(admin, "status")).code, 0);
  writeFileSync(files.key, key);
  program.signal("SIGHUP");
  await program.event((line) => line.event === "config.reloaded");
});

test("a coordinator's own certificate asks how it is, and is no operator's", async (t) => {
  const files = await tier.issue("member", "c1");
  const { duckctl } = await startCoordinator(t, files);

  const asked = await duckctl(files, "status");
  assert.notEqual(asked.code, 7, asked.err);
  assert.match(asked.out, /c1/);
  for (const words of [
    ["nodes", "add", "web", "127.0.0.1:9"],
    ["coordinators", "list"],
  ]) {
    const denied = await duckctl(files, ...words);
    assert.equal(denied.code, 7, denied.err);
    assert.match(denied.err, /it is for member "c1", and ControlService wants one for a client/);
  }
});

test("the command that asks for a reload refuses a broken certificate itself, and nothing is reloaded", async (t) => {
  const home = folder(t);
  const [member, agent] = [await tier.issue("member", "c1"), await tier.issue("agent", "a1")];
  const file = join(home, "clusterduck.yaml");
  writeFileSync(
    file,
    `clusters: {web: {type: http}}
coordinator: {id: c1, data_dir: data, pid_file: c1.pid, listen: "127.0.0.1:0", http: off, tls: ${section(member)}}
agent: {id: a1, coordinators: ["127.0.0.1:1"], state_dir: state, pid_file: a1.pid, tls: ${section(agent)}}\n`,
  );
  for (const [name, files] of [
    ["duck-coordinator", member],
    ["duck-agent", agent],
  ] as const) {
    const program = runProgram(name, ["-c", file]);
    atEnd(t, () => program.kill());
    await program.event(({ event }) => event === "coordinator.started" || event === "agent.started");
    const cert = readFileSync(files.cert);
    writeFileSync(files.cert, "nothing");

    const refused = runProgram(name, ["reload", "-c", file]);
    assert.equal(await refused.ended, 2, refused.text());
    assert.match(refused.text(), /error: .*\.crt": it holds no certificate in PEM form/);
    assert.ok(refused.text().includes(files.cert), refused.text());
    writeFileSync(files.cert, cert);
    const taken = runProgram(name, ["reload", "-c", file]);
    assert.equal(await taken.ended, 0, taken.text());

    await program.event((line) => line.event === "config.reloaded");
    assert.ok(!program.events.some(({ event }) => event === "config.reload_failed"), program.text());
  }
});

test("the embedded form has an agent certificate of its own, and says so when it lacks one", async (t) => {
  const home = folder(t);
  const file = join(home, "clusterduck.yaml");
  const [member, agent] = [await tier.issue("member", "c1"), await tier.issue("agent", "a1")];
  const yaml = (tls: string): string =>
    `coordinator: {id: c1, data_dir: data, listen: "127.0.0.1:0", http: off, tls: ${section(member)}}
agent: {id: a1, state_dir: agent${tls}}\n`;
  writeFileSync(file, yaml(""));
  const without = runProgram("duck-coordinator", ["--dev", "-c", file]);
  atEnd(t, () => without.kill());
  assert.equal(await without.ended, 2);
  assert.match(without.text(), /coordinator\.tls is set and agent\.tls is not/);

  writeFileSync(file, yaml(`, tls: ${section(agent)}`));
  const program = runProgram("duck-coordinator", ["--dev", "-c", file]);
  atEnd(t, () => program.kill());
  await program.event(isConnected);
});

test("duck-coordinator status asks with the coordinator's own certificate", async (t) => {
  const home = folder(t);
  const file = join(home, "clusterduck.yaml");
  const port = await freePort();
  const files = await tier.issue("member", "c1");
  writeFileSync(
    file,
    `coordinator: {id: c1, data_dir: data, listen: "127.0.0.1:${port}", http: off, tls: ${section(files)}}`,
  );
  const program = runProgram("duck-coordinator", ["-c", file]);
  atEnd(t, () => program.kill());
  await program.event((line) => line.event === "coordinator.started");

  const status = runProgram("duck-coordinator", ["status", "-c", file]);
  atEnd(t, () => status.kill());

  assert.equal(await status.ended, 0, status.text());
});

/** When the certificates that a program has reloaded end. */
function reloadedEnds(program: RunningProgram): readonly string[] {
  return program.events
    .filter(({ event }) => event === "tls.reloaded")
    .map((line) => String(line["not_after"]));
}

function get(options: {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly ca: string;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}): Promise<{ readonly code: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest({ ...options, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.on("end", () => resolve({ code: response.statusCode ?? 0, body }));
    });
    request.on("error", reject).end();
  });
}
