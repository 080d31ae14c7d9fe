import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { parseCertificates } from "../common/tls/certificate.js";
import { runDuckctl } from "../test/support/duckctl.js";

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 10, 22);

function folder(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), "duck-certificates-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const at = (wallMs: number, ...args: string[]) =>
    runDuckctl([...args, "--dir", dir], { nowMs: () => wallMs, env: { HOME: dir } });
  return {
    dir,
    at,
    run: (...args: string[]) => at(NOW, ...args),
    read: (name: string) => parseCertificates(readFileSync(join(dir, name), "utf8"), name)[0],
  };
}

test("init makes an authority and what one host needs, keys for the owner alone", async (t) => {
  const { dir, run, read } = folder(t);

  const answer = await run(
    "tls",
    "init",
    "--cluster",
    "prod",
    "--name",
    "c1",
    "--host",
    "c1.example",
    "10.0.0.1",
  );

  assert.equal(answer.code, 0, answer.err);
  assert.deepEqual(readdirSync(dir).sort(), [
    "agent-c1.crt",
    "agent-c1.key",
    "ca.crt",
    "ca.key",
    "client-admin.crt",
    "client-admin.key",
    "member-c1.crt",
    "member-c1.key",
  ]);
  for (const name of readdirSync(dir)) {
    assert.equal(statSync(join(dir, name)).mode & 0o777, name.endsWith(".key") ? 0o600 : 0o644, name);
  }
  assert.deepEqual(read("member-c1.crt").identity, { role: "member", name: "c1", cluster: "prod" });
  assert.deepEqual(read("member-c1.crt").hosts, ["c1.example", "10.0.0.1", "localhost", "127.0.0.1", "::1"]);
  assert.deepEqual(read("agent-c1.crt").hosts, []);
  assert.match(answer.err, /coordinator: \{tls: \{ca: .*member-c1\.key\}\}/);
});

test("init by any of its names is for this host and never replaces an authority", async (t) => {
  const { dir, run, read } = folder(t);
  await run("gen-tls");
  const before = readFileSync(join(dir, "ca.crt"), "utf8");

  const answer = await run("tls", "init");

  assert.equal(read(`member-${hostname()}.crt`).identity?.name, hostname());
  assert.equal(answer.code, 6);
  assert.match(answer.err, /Cannot make a certificate authority: ".*ca\.key" is there already/);
  assert.equal(readFileSync(join(dir, "ca.crt"), "utf8"), before);

  rmSync(join(dir, "ca.key"));
  assert.equal((await run("tls", "init")).code, 6);
  assert.deepEqual(
    [readFileSync(join(dir, "ca.crt"), "utf8"), readdirSync(dir).includes("ca.key")],
    [before, false],
  );
});

test("issue makes one certificate, and another over it only when told to", async (t) => {
  const { dir, run, read } = folder(t);
  await run("tls", "init", "--cluster", "prod");

  assert.equal((await run("tls", "issue", "member", "c2", "--host", "10.0.0.2")).code, 0);
  assert.equal(
    (await run("tls", "issue", "agent", "a2", "--out", join(dir, "out"), "--lifetime", "2d")).code,
    0,
  );

  assert.deepEqual(read("member-c2.crt").hosts, ["10.0.0.2", "localhost", "127.0.0.1", "::1"]);
  assert.deepEqual(read("out/agent-a2.crt").identity, { role: "agent", name: "a2", cluster: "prod" });
  assert.equal(read("out/agent-a2.crt").notAfterMs, NOW + 2 * DAY_MS);
  const again = await run("tls", "issue", "member", "c2", "--host", "10.0.0.3");
  assert.equal(again.code, 6);
  assert.match(again.err, /try: duckctl tls renew .*member-c2\.crt, or --replace/);
  await run("tls", "issue", "member", "c2", "--host", "10.0.0.3", "--replace");
  assert.equal(read("member-c2.crt").hosts[0], "10.0.0.3");
});

test("what cannot be issued is refused with the reason", async (t) => {
  const { dir, run } = folder(t);

  assert.match(
    (await run("tls", "issue", "agent", "a1")).err,
    /No certificate authority.*\n {2}try: duckctl tls init/,
  );
  await run("tls", "init");
  assert.match((await run("tls", "issue", "boss", "a1")).err, /Allowed choices are member, agent, client/);
  assert.match((await run("tls", "issue", "agent", "a/b")).err, /expected up to 128 letters/);
  assert.match((await run("tls", "issue", "member", "c2", "--host", "c2:7400")).err, /without a port/);
  rmSync(join(dir, "ca.key"));
  const answer = await run("tls", "issue", "agent", "a1");
  assert.match(answer.err, /the authority's key ".*ca\.key" is not on this host/);
  assert.equal(answer.code, 3);
});

test("renew takes what ends soon, keeps holder and hosts, and changes the key", async (t) => {
  const { dir, at, run, read } = folder(t);
  await run("tls", "init", "--name", "c1", "--host", "c1.example");
  await run("tls", "issue", "agent", "young", "--lifetime", "800d");
  const later = NOW + 380 * DAY_MS;
  const before = read("member-c1.crt");
  const key = readFileSync(join(dir, "member-c1.key"), "utf8");
  assert.match((await run("tls", "renew")).err, /Nothing ends soon/);

  const answer = await at(later, "tls", "renew", "-o", "name");

  const after = read("member-c1.crt");
  assert.deepEqual(
    answer.out
      .trim()
      .split("\n")
      .map((file) => file.slice(dir.length + 1)),
    ["agent-c1.crt", "client-admin.crt", "member-c1.crt"],
  );
  assert.deepEqual([after.identity, after.hosts], [before.identity, before.hosts]);
  assert.ok(after.notAfterMs > later + 390 * DAY_MS);
  assert.notEqual(readFileSync(join(dir, "member-c1.key"), "utf8"), key);
  assert.match((await at(later, "tls", "list")).out, /agent-young\.crt +agent "young" +valid/);
});

test("the authority is renewed on its own, and what it signed stays good", async (t) => {
  const { dir, at, run, read } = folder(t);
  await run("tls", "init", "--name", "c1");
  const before = read("ca.crt");

  await at(NOW + 365 * DAY_MS, "tls", "renew", "--authority");

  assert.equal(read("ca.crt").notAfterMs, before.notAfterMs + 365 * DAY_MS);
  assert.ok(read("member-c1.crt").x509.verify(read("ca.crt").x509.publicKey));
  assert.equal(statSync(join(dir, "ca.key")).mode & 0o777, 0o600);
  assert.equal((await run("tls", "renew", join(dir, "ca.crt"))).code, 2);
});

test("a renewed file keeps the mode that somebody gave it", async (t) => {
  const { dir, run } = folder(t);
  await run("tls", "init", "--name", "c1");
  const { chmodSync } = await import("node:fs");
  chmodSync(join(dir, "member-c1.key"), 0o640);

  await run("tls", "renew", "--all");

  assert.equal(statSync(join(dir, "member-c1.key")).mode & 0o777, 0o640);
  assert.equal(statSync(join(dir, "agent-c1.key")).mode & 0o777, 0o600);
});

test("show tells names and end, and what is no certificate", async (t) => {
  const { dir, at, run } = folder(t);
  await run("tls", "init", "--name", "c1", "--host", "c1.example");
  const show = (wallMs: number, ...files: string[]) =>
    runDuckctl(["tls", "show", ...files], { nowMs: () => wallMs, env: { HOME: dir } });

  const shown = await show(NOW, join(dir, "member-c1.crt"));
  assert.match(shown.out, /For: +member "c1"\nState: +valid \(397d\)/);
  assert.match(shown.out, /Hosts: +c1\.example, localhost/);
  assert.match(shown.out, /URIs: +clusterduck:\/\/clusterduck\/member\/c1/);
  assert.match((await show(NOW + 398 * DAY_MS, join(dir, "member-c1.crt"))).out, /expired \(ended 1d ago\)/);
  assert.match((await at(NOW - DAY_MS, "tls", "list")).out, /not yet valid/);

  writeFileSync(join(dir, "x.crt"), "no certificate");
  assert.match((await show(NOW, join(dir, "x.crt"))).err, /holds no certificate in PEM form/);
  assert.equal((await show(NOW, join(dir, "none.crt"))).code, 3);
});

test("a lifetime that is too short, or longer than the authority's, is refused with what would work, and makes nothing", async (t) => {
  const { dir, run, at, read } = folder(t);
  const short = await run("tls", "init", "--lifetime", "0s");
  assert.equal(short.code, 2);
  assert.match(short.err, /a lifetime of 0s: it must be at least 10m, .*\n.*--lifetime 10m, or longer/);
  assert.deepEqual(readdirSync(dir), []);
  assert.equal((await run("tls", "init", "--cluster", "prod", "--lifetime", "3650d")).code, 0);

  for (const lifetime of ["0s", "599s"]) {
    const refused = await run("tls", "issue", "client", "alice", "--lifetime", lifetime);
    assert.equal(refused.code, 2, lifetime);
    assert.match(refused.err, /a lifetime of (0s|9m59s): it must be at least 10m/);
  }
  const late = NOW + 3_600 * DAY_MS;
  const long = await at(late, "tls", "issue", "client", "alice", "--lifetime", "51d");
  assert.equal(long.code, 2);
  assert.match(long.err, /of 51d: the authority itself holds for another 50d\n.*tls renew --authority/);
  const renewing = await at(late, "tls", "renew", "--authority", "--all", "--lifetime", "1m");
  assert.equal(renewing.code, 2);
  assert.equal(read("ca.crt").notAfterMs, NOW + 3_650 * DAY_MS);
  assert.ok(!readdirSync(dir).includes("client-alice.crt"));

  assert.equal((await run("tls", "issue", "client", "alice", "--lifetime", "10m")).code, 0);
  assert.equal(read("client-alice.crt").notAfterMs, NOW + 600_000);
  // Unasked, it ends with its authority.
  const unasked = await at(late, "tls", "issue", "client", "bob");
  assert.equal(unasked.code, 0, unasked.err);
  assert.equal(read("client-bob.crt").notAfterMs, NOW + 3_650 * DAY_MS);
});
