import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";

import { runDuckctl, startTestTier } from "../support/test-tier.js";
import type { TestTier } from "../support/test-tier.js";
import { startWebServer } from "../support/web-server.js";
import type { WebServer } from "../support/web-server.js";

type Json = Record<string, unknown>;

let servers: readonly WebServer[];
let tier: TestTier;
const addr = (at: number): string => servers[at]?.addr ?? "";

before(async () => {
  servers = await Promise.all([startWebServer(), startWebServer()]);
  tier = await startTestTier({
    withAgent: true,
    yaml: `
clusters:
  web:
    type: http
    nodes: ["${addr(0)}", {addr: "${addr(1)}", weight: 10}]
    health_checks: [{type: http, url: /, every: 200ms, timeout: 5s}]
    triggers:
      - {name: note, on: [active], do: [{type: shell, commands: ["echo noted"]}]}
    balancers:
      - {type: haproxy, name: edge, mode: file, path: FOLDER/haproxy.cfg, program: /bin/true, bind: "127.0.0.1:1", reload: none}
  idle:
    type: tcp
    pass_without_checks: true
    nodes: ["127.0.0.1:2"]
`,
  });
  await tier.eventually(["nodes", "list", "web", "-o", "json"], ({ out }) =>
    (JSON.parse(out) as Json[]).every((node) => node["state"] === "healthy"),
  );
});

after(async () => {
  await tier.stop();
  await Promise.all(servers.map((server) => server.stop()));
});

/** Ages, latencies and ports differ from run to run. */
function steady(text: string): string {
  return text
    .replaceAll(addr(0), "10.0.0.1:80")
    .replaceAll(addr(1), "10.0.0.2:80")
    .replaceAll(/ {2,}/g, "  ");
}

test("nodes list prints an array of nodes with cluster, addr and state as JSON", async () => {
  const { code, out, err } = await tier.duckctl("nodes", "list", "-o", "json");

  const nodes = JSON.parse(out) as Json[];
  assert.equal(code, 0);
  assert.equal(err, "");
  assert.deepEqual(
    nodes.map((node) => `${String(node["cluster"])} ${String(node["addr"])} ${String(node["state"])}`),
    ["idle 127.0.0.1:2 healthy", ...[addr(0), addr(1)].sort().map((each) => `web ${each} healthy`)],
  );
});

test("clusters list is a table", async () => {
  const { code, out } = await tier.duckctl("clusters", "list");

  assert.equal(code, 0);
  assert.equal(
    out,
    [
      "NAME  TYPE  NODES  ACTIVE  HEALTHY  DEGRADED  DOWN  UNKNOWN  NOTE",
      "web   http  2      2       2        0         0     0",
      "idle  tcp   1      1       1        0         0     0",
      "",
    ].join("\n"),
  );
});

test("nodes list is a table whose columns begin at the same place in every line", async () => {
  const { out } = await tier.duckctl("nodes", "list", "-o", "wide");

  const lines = out.trimEnd().split("\n");
  const header = lines[0] ?? "";
  const at = ["ADDR", "STATE", "INTENT", "SINCE", "CAUSE"].map((word) => header.indexOf(word));
  assert.equal(lines.length, 4);
  for (const line of lines) for (const start of at) assert.equal(line.slice(start - 2, start), "  ");
  assert.match(steady(out), /web  10\.0\.0\.2:80  healthy  serve  .*  a1  file  weight=10\n/);
});

test("every list prints names that other commands take", async () => {
  const expected: readonly (readonly [string, string])[] = [
    ["clusters", "web\nidle\n"],
    [
      "nodes",
      `idle/127.0.0.1:2\n${[addr(0), addr(1)]
        .sort()
        .map((each) => `web/${each}\n`)
        .join("")}`,
    ],
    [
      "checks",
      [addr(0), addr(1)]
        .sort()
        .map((each) => `web/${each}/http\n`)
        .join(""),
    ],
    ["triggers", "web/note\n"],
    ["agents", "a1\n"],
    ["balancers", "edge\n"],
  ];

  for (const [group, names] of expected) {
    assert.equal((await tier.duckctl(group, "list", "-o", "name")).out, names, group);
  }
});

test("JSON and YAML of a list hold the same", async () => {
  for (const group of ["clusters", "triggers", "balancers"]) {
    const json = await tier.duckctl(group, "list", "-o", "json");
    const yaml = await tier.duckctl(group, "list", "-o", "yaml");
    // A run may begin or end between the two.
    const forget = (list: Json[]): Json[] =>
      list.map((each) => ({ ...each, proxies: [], runs: 0, lastAt: "", lastOutcome: "" }));

    assert.deepEqual(forget(parse(yaml.out) as Json[]), forget(JSON.parse(json.out) as Json[]), group);
  }
});

test("a node is added once, and again only with --if-absent", async () => {
  const add = ["nodes", "add", "idle", "127.0.0.1:3", "weight=5", "comment=a b"];

  const first = await tier.duckctl(...add);
  const again = await tier.duckctl(...add);
  const ifAbsent = await tier.duckctl(...add, "--if-absent");
  const otherwise = await tier.duckctl("nodes", "add", "idle", "127.0.0.1:3", "weight=6", "--if-absent");
  const [node] = JSON.parse((await tier.duckctl("nodes", "list", "127.0.0.1:3", "-o", "json")).out) as Json[];
  const removed = await tier.duckctl("nodes", "remove", "127.0.0.1:3", "-o", "yaml");
  const gone = await tier.duckctl("nodes", "remove", "idle", "127.0.0.1:3");

  assert.deepEqual([first.code, first.out], [0, "node idle/127.0.0.1:3 added\n"]);
  assert.equal(again.code, 6);
  assert.match(again.err, /^error: Cannot add node "127.0.0.1:3": cluster "idle" has it already/);
  assert.deepEqual([ifAbsent.code, ifAbsent.out], [0, "node idle/127.0.0.1:3 is there already\n"]);
  assert.equal(otherwise.code, 6);
  assert.deepEqual(node?.["attributes"], { weight: 5, comment: "a b" });
  assert.equal((parse(removed.out) as Json)["removed"], "idle/127.0.0.1:3");
  assert.equal(gone.code, 3);
  assert.match(
    gone.err,
    /No node "127.0.0.1:3" in cluster "idle": it has "127.0.0.1:2"\n {2}try: duckctl nodes list idle\n/,
  );
});

test("intents set and end overlays, and say when there was nothing to do", async () => {
  const node = "idle/127.0.0.1:2";
  const say = async (...words: readonly string[]): Promise<string> => {
    const { code, out, err } = await tier.duckctl("nodes", ...words);
    assert.equal(code, 0, err);
    return out + err;
  };

  assert.match(await say("disable", node, "--reason", "disk swap"), /node idle\/127.0.0.1:2 disabled\n/);
  assert.match(await say("disable", node, "--reason", "disk swap"), /is disabled already/);
  assert.match(await say("get", node), /Intent: {7}disabled \(disk swap\)\n/);
  assert.match(
    await say("undrain", node),
    /is not draining\nwarning: No traffic goes to it: disabled \(disk swap\)/,
  );
  assert.match(await say("enable", node), /enabled\n/);
  assert.match(await say("enable", node), /is enabled already\n/);
  assert.match(await say("drain", node), /draining\n/);
  assert.match(await say("undrain", node), /undrained\n/);
  assert.match(await say("maintenance", node, "--for", "30m"), /under maintenance\n/);
  assert.match(await say("get", node), /Intent: {7}maintenance until 20/);
  await say("enable", node);
});

test("where somebody can answer, taking the last node away is asked about", async () => {
  const asked: string[] = [];
  const io = (answer: string) => ({
    env: { DUCK_SERVER: tier.coordinator.grpcAddress },
    ask: async (question: string) => {
      asked.push(question);
      return answer;
    },
  });

  const refused = await runDuckctl(["nodes", "disable", "127.0.0.1:2"], io("no"));
  const agreed = await runDuckctl(["nodes", "disable", "127.0.0.1:2"], io("idle"));
  const unasked = await runDuckctl(["nodes", "enable", "127.0.0.1:2", "-o", "name"], io("no"));

  assert.equal(refused.code, 1);
  assert.match(asked[0] ?? "", /leaves 0 of 1 nodes of cluster "idle" active/);
  assert.equal(agreed.code, 0);
  assert.deepEqual([unasked.code, unasked.out, asked.length], [0, "idle/127.0.0.1:2\n", 2]);
});

test("errors say what, why and what to try, on standard error alone, with an exit code of their own", async () => {
  const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
    [
      ["clusters", "get", "api"],
      3,
      /^error: No cluster "api": there are "web", "idle"\n {2}try: duckctl clusters list\n$/,
    ],
    [["nodes", "list", "api"], 3, /No cluster "api"/],
    [["nodes", "list", "--state", "ill"], 2, /Allowed choices are healthy, degraded, down, unknown/],
    [["nodes", "get", "web"], 2, /Invalid node "web": expected CLUSTER ADDR/],
    [["nodes", "add", "web", "127.0.0.1"], 2, /Invalid address "127.0.0.1"/],
    [["nodes", "add", "web", "127.0.0.1:9", "comment=a\nb"], 2, /one line without control characters/],
    [["nodes", "disable", "127.0.0.1:9"], 3, /No node "127.0.0.1:9" in any cluster/],
    [["nodes", "disable", "127.0.0.1:2", "--for", "soon"], 2, /"soon" is not a duration/],
    [["triggers", "list", "api"], 3, /No cluster "api"/],
    [["triggers", "runs", "web", "none"], 3, /No trigger "none" in cluster "web": there are "note"/],
    [["balancers", "list", "none"], 3, /No balancer "none": there are "edge"/],
    [["balancers", "config", "none"], 3, /No balancer "none"/],
    [
      ["checks", "run", "web", addr(0), "--check", "none"],
      3,
      /No check "none" in cluster "web": it has http/,
    ],
    [["events", "--type", "none"], 2, /Unknown event type "none"/],
    [["events", "--cluster", "none"], 3, /No cluster "none"/],
    [["ls", "clusters", "none"], 3, /Nothing named "none" below clusters: there is web, idle/],
    [["nodes", "list", "-o", "xml"], 2, /Allowed choices are table, wide, json, yaml, name/],
    [
      ["nodes", "lst"],
      2,
      /unknown command 'lst'\n\(Did you mean one of list, ls\?\)\n {2}try: duckctl nodes --help/,
    ],
    [["config", "validate", "/nowhere.yaml"], 2, /Cannot read .*nowhere\.yaml/],
    [["nodes", "list", ""], 2, /<cluster-or-node> is empty: leave it out, or give it a value/],
    [["triggers", "list", ""], 2, /<cluster> is empty/],
    [["events", "--cluster="], 2, /--cluster is empty/],
    [["checks", "run", "web", addr(0), "--check="], 2, /--check is empty/],
    [["--server", "", "status"], 2, /--server is empty/],
    [
      ["snapshot", "save", tier.folder],
      2,
      /Cannot write ".*": it is a directory\n {2}try: name a file in it/,
    ],
    [["--server", "a b", "status"], 2, /Invalid server "a b"/],
  ];

  for (const [args, code, message] of cases) {
    const result = await tier.duckctl(...args);
    assert.equal(result.code, code, `${args.join(" ")}: ${result.err}`);
    assert.match(result.err, message);
    assert.equal(result.out, "");
  }
});

test("a coordinator that cannot be reached is exit code 4, whatever the reason", async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;

  const refused = await runDuckctl(["-s", "127.0.0.1:1", "status"]);
  const timedOut = await runDuckctl(["-s", address, "--timeout", "50ms", "status"]);
  const http = await runDuckctl(["-s", tier.coordinator.httpAddress ?? "", "status"]);
  for (const socket of sockets) socket.destroy();
  silent.close();

  assert.match(
    refused.err,
    /Cannot reach a coordinator at 127.0.0.1:1: connection refused\n {2}try: start one/,
  );
  assert.match(timedOut.err, /No answer from .* within 50ms\n {2}try: give it longer/);
  assert.match(http.err, /does not speak gRPC/);
  assert.deepEqual([refused.code, timedOut.code, http.code], [4, 4, 4]);
});

test("the environment chooses server and format, and flags win over it", async () => {
  const env = { DUCK_SERVER: tier.coordinator.grpcAddress, DUCK_OUTPUT: "name" };

  const byEnvironment = await runDuckctl(["clusters", "list"], { env });
  const byFlag = await runDuckctl(["clusters", "list", "-o", "json"], { env });
  const elsewhere = await runDuckctl(["-s", "127.0.0.1:1", "clusters", "list"], { env });

  assert.equal(byEnvironment.out, "web\nidle\n");
  assert.equal((JSON.parse(byFlag.out) as Json[]).length, 2);
  assert.equal(elsewhere.code, 4);
});

test("colours appear only where they are wanted, and move no column", async () => {
  const env = { DUCK_SERVER: tier.coordinator.grpcAddress };

  const plain = await runDuckctl(["nodes", "list", "idle"], { env });
  const coloured = await runDuckctl(["nodes", "list", "idle"], { env, hasColours: true });

  assert.ok(!plain.out.includes("\u001b"));
  assert.ok(coloured.out.includes("\u001b[32mhealthy\u001b[39m"));
  assert.equal(
    coloured.out.replaceAll(/\u001b\[\d+m/g, "").replaceAll(/\d+s/g, "0s"),
    plain.out.replaceAll(/\d+s/g, "0s"),
  );
});

test("checks run looks once and exits with 5 when a check does not pass", async () => {
  const good = await tier.duckctl("checks", "run", "web", addr(0), "-o", "json");
  await tier.duckctl("nodes", "add", "web", "127.0.0.1:1");
  const bad = await tier.duckctl("checks", "run", "web/127.0.0.1:1", "-o", "json");
  await tier.duckctl("nodes", "remove", "web/127.0.0.1:1");

  assert.equal(good.code, 0);
  assert.equal((JSON.parse(good.out) as Json[])[0]?.["outcome"], "passed");
  assert.equal(bad.code, 5);
  assert.equal((JSON.parse(bad.out) as Json[])[0]?.["reason"], "refused");
});

test("status tells all at a glance, and --check exits with 5 for an error", async () => {
  const good = await tier.duckctl("status", "--check");
  await tier.duckctl("nodes", "add", "web", "127.0.0.1:1");
  const bad = await tier.eventually(["status", "--check"], ({ code }) => code === 5);
  await tier.duckctl("nodes", "remove", "web/127.0.0.1:1");

  assert.equal(good.code, 0, good.out);
  assert.match(good.out, /^clusterduck .*, coordinator c1, leader c1, term \d+, index \d+, up /);
  for (const title of ["Clusters", "Balancers", "Agents"])
    assert.match(good.out, new RegExp(`^${title}$`, "m"));
  assert.match(bad.out, /error: node web\/127.0.0.1:1: down: .*\n {4}try: duckctl explain web 127.0.0.1:1/);
});

test("explain names observers, the ballot, the cut and the rules", async () => {
  const { out } = await tier.eventually(["explain", addr(0)], (result) =>
    / is healthy for /.test(result.out),
  );

  assert.match(out, new RegExp(`^web/${addr(0)} is healthy for `));
  for (const title of ["Seen now", "Decided", "Followed from it", "Rules"])
    assert.match(out, new RegExp(`^${title}$`, "m"));
  assert.match(out, /^ {2}cut \d+ \(term \d+, 20.*\): unknown → healthy/m);
  assert.match(out, /^ {4}ballot of c1: healthy/m);
});

test("balancers config prints the text that proxies should run", async () => {
  const text = await tier.duckctl("balancers", "config", "edge");
  const data = await tier.duckctl("balancers", "config", "edge", "-o", "json");

  assert.match(text.out, /^backend web$/m);
  assert.equal((JSON.parse(data.out) as Json)["config"], text.out);
});

test("the seed's words do what they say and fail when they fail", async () => {
  const added = await tier.duckctl("insert-node", "idle", '{"addr": "127.0.0.1:4", "weight": 3}');
  const twice = await tier.duckctl("insert-node", "idle", "127.0.0.1:4");
  const broken = await tier.duckctl("insert-node", "idle", '{"address": "127.0.0.1:5"}');
  const info = await tier.duckctl("node-info", "idle", "127.0.0.1:4", "-o", "json");
  const paths = await tier.duckctl("ls", "clusters/idle/nodes", "-o", "name");
  const tree = await tier.duckctl("ls", "clusters", "idle", "nodes");
  const deleted = await tier.duckctl("delete-node", "idle", "127.0.0.1:4");
  const gone = await tier.duckctl("delete-node", "idle", "127.0.0.1:4");

  assert.equal(added.code, 0);
  assert.equal(twice.code, 6);
  assert.equal(broken.code, 2);
  assert.deepEqual((JSON.parse(info.out) as Json)["attributes"], { weight: 3 });
  assert.equal(paths.out, "clusters/idle/nodes/127.0.0.1:2\nclusters/idle/nodes/127.0.0.1:4\n");
  assert.equal(tree.out, "127.0.0.1:2  healthy\n127.0.0.1:4  healthy\n");
  assert.deepEqual([deleted.code, gone.code], [0, 3]);
});

test("a configuration is shown, compared and applied, and not over somebody else's change", async () => {
  const env = { DUCK_SERVER: tier.coordinator.grpcAddress };
  const shown = await tier.duckctl("config", "show", "-o", "json");
  const { yaml, revision } = JSON.parse(shown.out) as { yaml: string; revision: number };
  const file = join(tier.folder, "next.yaml");
  writeFileSync(file, yaml.replace("weight: 10", "weight: 11"));

  const same = await runDuckctl(["config", "diff", "-"], { env, readInput: async () => yaml });
  const diff = await tier.duckctl("config", "diff", file);
  const dryRun = await tier.duckctl("config", "apply", file, "--dry-run");
  const stale = await tier.duckctl("config", "apply", file, "--if-revision", String(revision + 1));
  const applied = await tier.duckctl("config", "apply", file, "--if-revision", String(revision));
  const after = JSON.parse((await tier.duckctl("nodes", "get", addr(1), "-o", "json")).out) as Json;

  assert.deepEqual([same.code, same.out], [0, ""]);
  assert.equal(diff.code, 1);
  assert.match(steady(diff.out), /^~ clusters\.web\.nodes.*10\.0\.0\.2:80.*weight: 10 → 11\n$/);
  assert.match(dryRun.err, /Nothing was applied/);
  assert.equal(stale.code, 6);
  assert.equal(applied.code, 0);
  assert.deepEqual(after["attributes"], { weight: 11 });
});

test("a configuration with problems is refused with all of them, and changes nothing", async () => {
  const env = { DUCK_SERVER: tier.coordinator.grpcAddress };
  const text = "clusters: {web: {type: htp, nodes: [nowhere]}}\n";
  const before = (await tier.duckctl("config", "show")).out;

  const applied = await runDuckctl(["config", "apply", "-"], { env, readInput: async () => text });

  assert.equal(applied.code, 2);
  assert.match(applied.err, /htp/);
  assert.match(applied.err, /nowhere/);
  assert.equal((await tier.duckctl("config", "show")).out, before);
});

test("config edit applies what was saved and keeps the text when it is refused", async () => {
  const editor = join(tier.folder, "editor.sh");
  const edit = (script: string) => {
    writeFileSync(editor, `#!/bin/sh\n${script}\n`);
    chmodSync(editor, 0o755);
    return runDuckctl(["config", "edit"], {
      env: { DUCK_SERVER: tier.coordinator.grpcAddress, EDITOR: editor },
    });
  };

  const unchanged = await edit("true");
  const refused = await edit('echo "clusters: {web: {type: htp}}" > "$1"');
  const applied = await edit('sed -i "s/weight: 11/weight: 12/" "$1"');
  const failed = await edit("exit 3");
  const none = await tier.duckctl("edit");

  assert.deepEqual([unchanged.code, unchanged.err], [0, "Nothing was changed\n"]);
  assert.equal(refused.code, 2);
  const kept = /Your text is kept in (\S+)/.exec(refused.err)?.[1] ?? "";
  assert.match(readFileSync(kept, "utf8"), /type: htp/);
  assert.equal(applied.code, 0, applied.err);
  assert.match(applied.out, /weight: 11 → 12/);
  assert.equal(failed.code, 1);
  assert.match(none.err, /neither VISUAL nor EDITOR is set/);
});

test("config validate and schema need no coordinator", async () => {
  const file = join(tier.folder, "valid.yaml");
  writeFileSync(file, "clusters: {a: {type: http}}\n");

  const valid = await runDuckctl(["config", "validate", file]);
  const asJson = await runDuckctl(["config", "validate", file, "-o", "json"]);
  const schema = await runDuckctl(["config", "schema"]);

  assert.equal(valid.out, `${file}: ok\n`);
  assert.deepEqual(JSON.parse(asJson.out), { file, isValid: true });
  assert.equal(typeof (JSON.parse(schema.out) as Json)["properties"], "object");
});

test("snapshot save writes a file that only its owner may read", async () => {
  const file = join(tier.folder, "tier.snapshot");

  const saved = await tier.duckctl("snapshot", "save", file, "-o", "json");
  const impossible = await tier.duckctl("snapshot", "save", join(tier.folder, "no", "such"));

  const { mode, size } = statSync(file);
  assert.deepEqual(JSON.parse(saved.out), { file, bytes: size });
  assert.equal(mode & 0o777, 0o600);
  assert.equal(impossible.code, 2);
  assert.match(impossible.err, /Cannot write ".*such": there is no directory ".*no"/);
});
