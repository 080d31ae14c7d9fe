import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { CliIo } from "../../cli/io.js";
import { runDuckctl, startTestTier } from "../support/test-tier.js";
import type { TestTier } from "../support/test-tier.js";
import { until } from "../support/until.js";

let tier: TestTier;

before(async () => {
  tier = await startTestTier({
    yaml: `
clusters:
  web: {type: tcp, pass_without_checks: true, nodes: ["10.0.0.1:80"]}
  cache: {type: tcp, pass_without_checks: true, nodes: []}
`,
  });
});

after(() => tier.stop());

/** A command that goes on, and what it has printed so far. */
function running(args: readonly string[], io: Partial<CliIo> = {}) {
  const interrupt = new AbortController();
  const seen = { out: "", err: "" };
  const done = runDuckctl(args, {
    env: { DUCK_SERVER: tier.coordinator.grpcAddress },
    out: (text) => void (seen.out += text),
    err: (text) => void (seen.err += text),
    signal: interrupt.signal,
    ...io,
  });
  const lines = (): readonly string[] => seen.out.split("\n").slice(0, -1);
  return { seen, lines, interrupt: () => interrupt.abort(), code: async () => (await done).code };
}

const keyOf = (line: string): string => {
  const { index, ordinal } = JSON.parse(line) as { index: number; ordinal: number };
  return `${index}.${ordinal}`;
};

test("events --follow prints the past, then what comes, a JSON object per line, until Ctrl-C", async () => {
  const follow = running(["events", "--follow", "-o", "json"]);
  await until(() => follow.lines().length > 0, "the past");

  await tier.duckctl("nodes", "add", "web", "10.0.0.2:80");
  await until(() => follow.seen.out.includes("10.0.0.2:80"), "the new node");
  follow.interrupt();

  assert.equal(await follow.code(), 130);
  const keys = follow.lines().map(keyOf);
  assert.equal(new Set(keys).size, keys.length);
});

test("events --follow goes on over a restart of the coordinator without a gap and without a repetition", async () => {
  const follow = running(["events", "--follow", "-o", "json", "--cluster", "web"]);
  await until(() => follow.lines().length > 0, "the past");

  await tier.restart();
  await tier.duckctl("nodes", "add", "web", "10.0.0.3:80");
  await until(() => follow.seen.out.includes("10.0.0.3:80"), "the event after the restart");
  await tier.duckctl("nodes", "remove", "web", "10.0.0.3:80");
  const all = JSON.parse((await tier.duckctl("events", "--cluster", "web", "-o", "json")).out) as unknown[];
  await until(() => follow.lines().length >= all.length, "the last event");
  follow.interrupt();

  assert.equal(await follow.code(), 130);
  assert.deepEqual(
    follow.lines().map((line) => JSON.parse(line) as unknown),
    all,
  );
});

test("events --since resumes after the last index that was seen", async () => {
  const all = JSON.parse((await tier.duckctl("events", "-o", "json")).out) as { index: number }[];
  const last = all.at(-1)?.index ?? 0;
  await tier.duckctl("nodes", "disable", "web/10.0.0.1:80");

  const since = JSON.parse((await tier.duckctl("events", "--since", String(last), "-o", "json")).out) as {
    type: string;
  }[];
  await tier.duckctl("nodes", "enable", "web/10.0.0.1:80");

  assert.deepEqual(
    since.map((event) => event.type),
    ["overlay", "active"],
  );
});

test("events keep their columns, whatever an event is about", async () => {
  const { out } = await tier.duckctl("events", "--type", "config,nodes,overlay,active");

  const lines = out.trimEnd().split("\n");
  assert.ok(lines.length >= 4);
  for (const line of lines) {
    assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]{12}Z {2} *\d+ {2}[a-z.]+ +(-|web|cache|web\/[\d.:]+) +\S/);
    // Time 24, index 6, type 18 and subject 32 wide, each with two spaces behind it.
    for (const at of [24, 32, 52, 86]) assert.equal(line.slice(at, at + 2), "  ", line);
  }
});

test("status --watch prints again at an event and over a restart, and ends with 130 at Ctrl-C", async () => {
  const watch = running(["status", "--watch", "-o", "json"]);
  await until(() => watch.lines().length > 0, "the first status");

  await tier.duckctl("nodes", "add", "cache", "10.0.0.9:80");
  await until(() => watch.lines().some((line) => /"name":"cache"[^}]*"nodes":1/.test(line)), "the new node");
  await tier.restart();
  await tier.duckctl("nodes", "remove", "cache", "10.0.0.9:80");
  const isGone = (): boolean => /"name":"cache"[^}]*"nodes":0/.test(watch.lines().at(-1) ?? "");
  await until(isGone, "the status after the restart");
  watch.interrupt();

  assert.equal(await watch.code(), 130);
});

test("following begins with an error when nobody is there", async () => {
  const env = { DUCK_SERVER: "127.0.0.1:1" };

  assert.equal((await runDuckctl(["events", "--follow"], { env })).code, 4);
  assert.equal((await runDuckctl(["status", "--watch"], { env })).code, 4);
});
