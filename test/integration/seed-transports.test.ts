/** The original's `transports`, as its README writes them, and three processes that become one tier with them. */
import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { atEnd } from "../support/at-end.js";
import { temporaryFolder } from "../support/coordinator-program.js";
import { eventually } from "../support/coordinator-tier.js";
import { runDuckctl } from "../support/duckctl.js";
import { freePorts } from "../support/free-port.js";
import { runProgram } from "../support/program.js";
import type { RunningProgram } from "../support/program.js";

type Row = { readonly id: string; readonly role: string; readonly state: string };
type Instance = {
  readonly id: string;
  readonly folder: string;
  readonly file: string;
  readonly grpc: string;
};

/** The README's own lines; `bootstrap` names an instance, or several. */
const README = (own: number, others: readonly number[]): string => `transports:
  - type: raft
    address: tls://127.0.0.1:${own}
    bootstrap: [ ${others.map((port) => `tls://127.0.0.1:${port}`).join(", ")} ]
`;
/** With what its table of parameters adds. */
const WITH_TLS = (own: number, others: readonly number[]): string =>
  `transports: [{type: raft, address: "tls://127.0.0.1:${own}", tls: "clusterduck.%s", bootstrap: [${others
    .map((port) => `"tls://127.0.0.1:${port}"`)
    .join(", ")}]}]\n`;

test("three instances that name the others are one tier, with the README's lines", async (t) => {
  const ports = await freePorts(3);
  const instances = await prepare(t, (at) => README(ports[at] ?? 0, others(ports, at)));

  const programs = instances.map((each) => start(t, each));
  await Promise.all(programs.map((each) => each.event(({ event }) => event === "coordinator.started")));

  await areOneTier(instances, {});
});

test("three with keys from gen-tls are one tier over TLS, and duckctl asks them with the certificate that came along", async (t) => {
  const ports = await freePorts(3);
  const instances = await prepare(t, (at) => WITH_TLS(ports[at] ?? 0, others(ports, at)));
  const [first] = instances;
  assert.ok(first);
  for (const [at, { folder, file }] of instances.entries()) {
    // One authority: its two files go to the other instances before they make their own keys.
    if (at > 0)
      for (const name of ["clusterduck.ca", "clusterduck.ca.key"])
        await copyFile(join(first.folder, name), join(folder, name));
    const made = runProgram("duck-coordinator", ["gen-tls", "-c", file]);
    assert.equal(await made.ended, 0, made.text());
  }

  const programs = instances.map((each) => start(t, each));
  await Promise.all(programs.map((each) => each.event(({ event }) => event === "coordinator.started")));

  const name = (kind: string): string => join(first.folder, `clusterduck${kind}`);
  await areOneTier(instances, {
    DUCK_CACERT: name(".ca"),
    DUCK_CERT: name("-client.crt"),
    DUCK_KEY: name("-client.key"),
  });
  const plain = await runDuckctl(["status"], { env: { DUCK_SERVER: first.grpc } });
  assert.match(plain.err, /A coordinator with TLS does that/);
});

test("instances that know one address and a passphrase find each other, in any order", async (t) => {
  const ports = await freePorts(3);
  const [first = 0] = ports;
  const instances = await prepare(t, (at) =>
    README(ports[at] ?? 0, at === 0 ? [] : [first]).replace(
      "type: raft",
      "type: raft\n    passphrase: what all the ducks know",
    ),
  );

  // The one that is named starts last: the others wait for it.
  const programs: RunningProgram[] = [];
  for (const each of [...instances].reverse()) programs.push(start(t, each));
  await Promise.all(programs.map((each) => each.event(({ event }) => event === "coordinator.started")));

  await areOneTier(instances, {});
});

test("tls:// beyond loopback means the certificates that the original's default names", async (t) => {
  const [port = 0] = await freePorts(1);
  const [instance] = await prepare(t, () => README(port, []).replace("127.0.0.1", "0.0.0.0"), 1);
  assert.ok(instance);

  const without = start(t, instance);
  assert.equal(await without.ended, 2);
  assert.match(without.text(), /clusterduck\.ca": there is no such file/);
  const made = runProgram("duck-coordinator", ["gen-tls", "-c", instance.file]);
  assert.equal(await made.ended, 0, made.text());

  await start(t, instance).event(({ event }) => event === "coordinator.started");
});

function others(ports: readonly number[], at: number): readonly number[] {
  return ports.filter((_port, index) => index !== at);
}

async function prepare(
  t: TestContext,
  transports: (at: number) => string,
  count = 3,
): Promise<readonly Instance[]> {
  const home = temporaryFolder(t);
  const ports = await freePorts(count);
  return Promise.all(
    ports.map(async (port, at) => {
      const id = `c${at + 1}`;
      const folder = join(home, id);
      await mkdir(folder);
      const file = join(folder, "clusterduck.yaml");
      const own = `coordinator: {id: ${id}, data_dir: data, listen: ${port}, http: off}\n`;
      await writeFile(file, `clusters: {web: {type: clusterduck-http}}\n${own}${transports(at)}`);
      return { id, folder, file, grpc: `127.0.0.1:${port}` };
    }),
  );
}

function start(t: TestContext, { file }: Instance): RunningProgram {
  const program = runProgram("duck-coordinator", ["-c", file]);
  atEnd(t, () => program.kill());
  return program;
}

async function areOneTier(
  instances: readonly Instance[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  await eventually("all vote and answer", async () => {
    const server = instances.map(({ grpc }) => grpc).join(",");
    const { out } = await runDuckctl(["coordinators", "list", "-o", "json"], {
      env: { ...env, DUCK_SERVER: server },
    });
    const rows = JSON.parse(out || "[]") as Row[];
    return (
      rows.length === instances.length &&
      rows.every(({ role, state }) => role !== "learner" && state === "answers")
    );
  });
  // A passphrase stays where it was written.
  const [first] = instances;
  const out = await eventually("the leader's configuration", async () => {
    const shown = await runDuckctl(["config", "show"], { env: { ...env, DUCK_SERVER: first?.grpc ?? "" } });
    return shown.out.includes("clusterduck-http") && shown.out;
  });
  assert.doesNotMatch(out, /what all the ducks know/);
  assert.match(await readFile(first?.file ?? "", "utf8"), /tls:\/\//);
}
