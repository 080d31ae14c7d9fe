import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { ClusterduckError } from "../errors.js";
import { CONFIG_LIMITS } from "./defaults.js";
import { emptyReplicatedConfig, loadConfig, parseConfigText, readFileConfig } from "./load.js";
import { ConfigError } from "./problem.js";

const parse = (text: string, env: Readonly<Record<string, string>> = {}) =>
  parseConfigText(text, "/etc/duck.yaml", env);

/** What is wrong with a text, as `path: message`. */
function problemsOf(text: string, env: Readonly<Record<string, string>> = {}): string[] {
  try {
    parseConfigText(text, "duck.yaml", env);
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError, String(thrown));
    assert.equal(thrown.code, "CONFIG_INVALID");
    return thrown.problems.map((problem) => `${problem.path}: ${problem.message}`);
  }
  return [];
}

function temporaryDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "duck-config-"));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test("an empty file is an empty configuration with every default", () => {
  for (const text of ["", "# nothing\n", "---\n", "{}", "clusters:\n", "\ufeff# with a byte order mark\n"]) {
    const config = parse(text);
    assert.deepEqual(config.replicated, emptyReplicatedConfig);
    assert.deepEqual(config.coordinator.grpc, { host: "127.0.0.1", port: 7400 });
    assert.deepEqual(config.coordinator.http, { host: "127.0.0.1", port: 8484 });
    assert.deepEqual(config.coordinator.raft.address, { host: "127.0.0.1", port: 9910 });
    assert.deepEqual(config.agent.coordinators, ["127.0.0.1:7400"]);
    assert.notEqual(config.agent.id, "");
  }
});

test("a check gets the documented defaults, and ids are numbered without taking a given name", () => {
  const { clusters } = parse(`
clusters:
  a:
    type: tcp
    health_checks: [{type: tcp}, {type: tcp, name: tcp-2}, {type: tcp, interval: 250ms, timeout: 100, fall: 1, rise: 1}]
`).replicated;

  const checks = clusters["a"]?.checks ?? [];

  assert.deepEqual(
    checks.map((check) => check.id),
    ["tcp", "tcp-2", "tcp-3"],
  );
  assert.deepEqual(
    checks.map(({ everyMs, timeoutMs, fall, rise }) => [everyMs, timeoutMs, fall, rise]),
    [
      [1000, 1000, 3, 2],
      [1000, 1000, 3, 2],
      [250, 100, 1, 1],
    ],
  );
});

test("interval_after_fail looks more often while a check fails, never less often", () => {
  const check = (words: string) =>
    parse(`clusters: {a: {type: tcp, health_checks: [{type: tcp, ${words}}]}}`).replicated.clusters["a"]
      ?.checks[0];

  assert.equal(check("every: 10s, interval_after_fail: 500ms")?.failingEveryMs, 500);
  assert.equal(check("every: 1s, interval_after_fail: 30s")?.failingEveryMs, undefined);
});

test("clusters may stand at the top level when their type says what they are", () => {
  const { clusters } = parse("a: {type: redis}\nclusters: {b: {type: grpc}}\n").replicated;

  assert.deepEqual(Object.keys(clusters).sort(), ["a", "b"]);
  assert.deepEqual(problemsOf("agnet: {zone: a}"), ['agnet: unknown key "agnet"']);
  assert.deepEqual(problemsOf("transport: {type: http}"), ['transport: unknown key "transport"']);
  assert.deepEqual(problemsOf("web: {type: htpp}"), ['web: unknown key "web"']);
  assert.deepEqual(problemsOf("a: {type: redis}\nclusters: {a: {type: redis}}"), ['a: unknown key "a"']);
});

test("a problem in a cluster at the top level is shown where it stands in the file", () => {
  assert.throws(
    () => parse("web:\n  type: http\n  nods: []\n"),
    (thrown: ConfigError) => {
      assert.deepEqual(
        thrown.problems.map(({ line, column, path, suggestion }) => ({ line, column, path, suggestion })),
        [{ line: 3, column: 3, path: "web.nods", suggestion: "nodes" }],
      );
      return true;
    },
  );
});

test("variables are expanded everywhere but in commands that a shell reads", () => {
  const text = `
clusters:
  a:
    type: \${TYPE:-redis}
    min_active_nodes: \${MIN}
    nodes: ["\${HOST}:6379", "b$$c:1"]
    health_checks:
      - {type: basic, commands: [[GET, "\${KEY}"]], password_file: "/run/\${KEY}"}
    triggers:
      - on: active
        env: {X: "\${KEY}"}
        do: {type: shell, commands: ["echo \${KEY} $$ $nodes_active_addrs"]}
agent:
  exec_checks:
    one: {command: [sh, -c, "echo \${KEY}"], env: {Y: "\${KEY}"}}
    two: [sh, -c, "echo \${KEY}"]
balancers:
  lb: {type: haproxy, clusters: a, path: /x, reload: {command: "kill -USR2 \${PID}"}}
`.replace("b$$c:1", "b:1");

  const { replicated, agent } = parse(text, { MIN: "2", HOST: "h", KEY: "k" });

  const a = replicated.clusters["a"];
  assert.equal(a?.type, "redis");
  assert.equal(a.minActiveNodes, 2);
  assert.deepEqual(
    a.nodes.map((node) => node.addr),
    ["h:6379", "b:1"],
  );
  assert.deepEqual(a.checks[0]?.options, { commands: [["GET", "k"]], password_file: "/run/k" });
  assert.deepEqual(a.triggers[0]?.env, { X: "k" });
  assert.deepEqual(a.triggers[0]?.actions[0]?.commands, ["echo ${KEY} $$ $nodes_active_addrs"]);
  assert.deepEqual(agent.execChecks["one"], {
    command: ["sh", "-c", "echo ${KEY}"],
    cwd: null,
    env: { Y: "k" },
    user: null,
  });
  assert.deepEqual(agent.execChecks["two"]?.command, ["sh", "-c", "echo ${KEY}"]);
  assert.deepEqual(replicated.balancers["lb"]?.target?.reload, {
    kind: "command",
    command: "kill -USR2 ${PID}",
    timeoutMs: 10_000,
  });
});

test("an unset variable is a problem that names it, once", () => {
  assert.deepEqual(problemsOf("clusters: {a: {type: redis, nodes: ['${HOST}:1', {addr: '${HOST}'}]}}"), [
    "clusters.a.nodes[0]: environment variable HOST is not set: set it, or give a default with ${HOST:-default}",
    "clusters.a.nodes[1].addr: environment variable HOST is not set: set it, or give a default with ${HOST:-default}",
  ]);
  assert.match(problemsOf("agent: {zone: 'a${b c}'}")[0] ?? "", /"\$\{b c\}" is not a variable/);
});

test("anchors, aliases and merge keys work", () => {
  const { clusters } = parse(`
clusters:
  a: &base
    type: redis
    health_checks: &checks [{type: basic}]
    min_active_nodes: 1
  b:
    <<: *base
    min_active_nodes: 2
  c: {type: redis, health_checks: *checks}
`).replicated;

  assert.equal(clusters["b"]?.minActiveNodes, 2);
  assert.equal(clusters["b"].checks.length, 1);
  assert.deepEqual(clusters["c"]?.checks, clusters["a"]?.checks);
});

test("balancers of clusters and of the file end up in one place", () => {
  const { balancers } = parse(`
clusters:
  web:
    type: http
    balancers:
      - {type: haproxy, mode: file, path: lb.cfg, bind: 80, reload: {master: run/m.sock, }, program: bin/haproxy}
      - {type: haproxy, name: edge}
  api:
    type: http
    balancers:
      inner: {type: haproxy, path: /a.cfg, reload: none, global: "maxconn 10\\nnbthread 2", clusters: [web, api]}
balancers:
  both:
    type: haproxy
    clusters: [web, api]
    mode: file
    path: /b.cfg
    reload: {pid_file: /run/p}
    frontends: {web: {bind: [":80", 81]}, api: {bind: "*:82", options: [option httplog]}}
`).replicated;

  assert.deepEqual(
    Object.values(balancers)
      .map(({ name, clusters, deliver, mode }) => [name, clusters, deliver, mode])
      .sort(),
    [
      ["both", ["web", "api"], "local", "file"],
      ["edge", ["web"], "agents", "include"],
      ["inner", ["web", "api"], "local", "include"],
      ["web-haproxy", ["web"], "local", "file"],
    ],
  );
  assert.deepEqual(balancers["web-haproxy"]?.frontends, { web: { bind: [":80"], options: [] } });
  assert.equal(balancers["web-haproxy"].target?.path, "/etc/lb.cfg");
  assert.equal(balancers["web-haproxy"].target.program, "/etc/bin/haproxy");
  assert.deepEqual(balancers["web-haproxy"].target.reload, { kind: "master", socket: "/etc/run/m.sock" });
  assert.equal(balancers["edge"]?.target, null);
  assert.equal(balancers["inner"]?.target?.program, "haproxy");
  assert.deepEqual(balancers["inner"].globalOptions, ["maxconn 10", "nbthread 2"]);
  assert.deepEqual(balancers["both"]?.frontends, {
    web: { bind: [":80", ":81"], options: [] },
    api: { bind: ["*:82"], options: ["option httplog"] },
  });
});

test("a balancer whose keys do not go together is refused with what would work", () => {
  const balancer = (keys: string): string[] =>
    problemsOf(`clusters: {web: {type: http}, api: {type: http}}\nbalancers: {lb: {type: haproxy, ${keys}}}`);

  assert.match(
    balancer("clusters: web, path: /x")[0] ?? "",
    /balancers\.lb\.reload: is missing: say how HAProxy takes/,
  );
  assert.match(balancer("clusters: web, deliver: local")[0] ?? "", /balancers\.lb\.path: is missing/);
  assert.match(balancer("clusters: web, deliver: agents, path: /x")[0] ?? "", /belongs to deliver: local/);
  assert.match(balancer("clusters: web, bind: 80")[0] ?? "", /bind: needs mode: file/);
  assert.match(
    balancer("clusters: [web, api], mode: file, bind: 80")[0] ?? "",
    /bind: says not for which cluster/,
  );
  assert.match(balancer("mode: file")[0] ?? "", /balancers\.lb\.clusters: is missing/);
  assert.match(balancer("clusters: [web, web]")[0] ?? "", /stands in the list twice/);
  assert.match(balancer("clusters: wbe")[0] ?? "", /there is no cluster "wbe"/);
  assert.match(balancer("clusters: constructor")[0] ?? "", /there is no cluster "constructor"/);
  assert.match(
    balancer("clusters: web, mode: file, frontends: {api: {bind: 80}}")[0] ?? "",
    /"api" is not a cluster of this balancer/,
  );
  assert.match(balancer("clusters: web, algorithm: best")[0] ?? "", /is not an algorithm/);
  assert.match(balancer('clusters: web, options: "a\\x07b"')[0] ?? "", /control character/);
  assert.match(
    problemsOf(
      "clusters: {a: {type: http, balancers: {x: {type: haproxy}}}}\nbalancers: {x: {type: haproxy, clusters: a}}",
    )[0] ?? "",
    /the balancer name "x" is taken: balancers\.x/,
  );
});

test("a balancer that agents deliver refuses what only one host can know", () => {
  const problems = problemsOf(`
clusters: {a: {type: tcp}}
balancers: {lb: {type: haproxy, clusters: a, deliver: agents, stats_socket: /run/s, quiet: 1s, extra_files: /x}}
`);

  const words = "belongs to deliver: local; agents have it in their own proxies section";
  assert.deepEqual(problems, [
    `balancers.lb.stats_socket: ${words}`,
    `balancers.lb.quiet: ${words}`,
    `balancers.lb.extra_files: ${words}`,
  ]);
});

test("a persistent tcp check whose service speaks first is refused: it greets once for each connection", () => {
  const problemsWith = (check: string): readonly string[] =>
    problemsOf(`clusters: {a: {type: tcp, health_checks: [{type: tcp, persistent: true, ${check}}]}}`);

  assert.match(problemsWith("expect: '220 '").join(), /has persistent, but the service speaks first/);
  assert.match(problemsWith("flow: [{expect: hi}, {send: x}]").join(), /has persistent, but the service/);
  assert.deepEqual(problemsWith("send: x, expect: hi"), []);
  assert.deepEqual(problemsWith("flow: [{send: x}, {expect: hi}]"), []);
});

test("where a value may have several forms, the problem is that of the form that was meant", () => {
  assert.deepEqual(problemsOf("agent: {exec_checks: {a: {cmd: x}}}"), [
    "agent.exec_checks.a.command: is missing: expected text, or a list",
    'agent.exec_checks.a.cmd: unknown key "cmd"',
  ]);
  assert.match(
    problemsOf("agent: {exec_checks: {a: 3}}").join(),
    /a: expected text, or a list, or a mapping, found 3/,
  );
  assert.deepEqual(problemsOf("nodes: [h:1]"), [
    "nodes: belongs inside a cluster: put it below clusters, and there below the cluster's name",
  ]);
});

test("without TLS only loopback is listened on, and the refusal says how to come by it", () => {
  const { coordinator } = parse(
    "coordinator: {listen: 7500, http: 'localhost:0'}\ntransports: [{type: raft, address: 'tls://[::1]:1'}]",
  );
  assert.deepEqual(coordinator.grpc, { host: "127.0.0.1", port: 7500 });
  assert.deepEqual(coordinator.http, { host: "localhost", port: 0 });
  assert.deepEqual(coordinator.raft.address, { host: "::1", port: 1 });
  assert.equal(parse("coordinator: {http: false}").coordinator.http, null);
  assert.equal(parse("coordinator: {http: off}").coordinator.http, null);

  for (const address of [
    "0.0.0.0:80",
    "10.0.0.1:80",
    "'[::]:80'",
    "duck.example:80",
    "127.evil.example:80",
    "'*:80'",
  ]) {
    for (const text of [
      `coordinator: {listen: ${address}}`,
      `coordinator: {http: ${address}}`,
      `transports: [{type: http, listen: ${address}}]`,
    ]) {
      assert.match(
        problemsOf(text)[0] ?? "",
        /without TLS: .*`duckctl tls init`|not an address to listen on/,
        text,
      );
    }
  }
  assert.match(problemsOf("coordinator: {listen: 70000}")[0] ?? "", /a port up to 65535/);
});

test("nodes that are one node, and addresses that could break a proxy's file, are refused", () => {
  assert.deepEqual(problemsOf("clusters: {a: {type: http, nodes: [h:1, 'tcp://H:1', {addr: 'h:01'}]}}"), [
    "clusters.a.nodes[1]: node h:1 stands here a second time: first as clusters.a.nodes[0]",
    "clusters.a.nodes[2].addr: node h:1 stands here a second time: first as clusters.a.nodes[0]",
  ]);
  for (const address of ['"h:1\\nserver evil"', '"h\\x00:1"', '"h :1"', "h", "h:0", "''"]) {
    const problems = problemsOf(`clusters: {a: {type: http, nodes: [${address}]}}`);
    assert.match(problems.join(), /^clusters\.a\.nodes\[0\]: Invalid address/, address);
  }
  assert.match(
    problemsOf('clusters: {a: {type: http, nodes: [{addr: h:1, cookie: "a\\nb"}]}}').join(),
    /a line break/,
  );
  assert.match(
    problemsOf('clusters: {a: {type: http, nodes: [{addr: h:1, "x y": 1}]}}').join(),
    /not a name of an attribute/,
  );
});

test("a key that no object can hold is refused wherever a key is free, with its place", () => {
  const inCluster = (text: string): string => `clusters: {web: {type: http, ${text}}}`;
  const places = [
    "clusters: {__proto__: {type: http}}",
    "balancers: {__proto__: {type: haproxy}}",
    "__proto__: 1",
    inCluster("nodes: [{addr: h:1, __proto__: 1}]"),
    inCluster("health_checks: [{type: http, headers: {__proto__: x}}]"),
    inCluster("health_checks: [{type: http, json: [a, eq, {b: [{__proto__: 1}]}]}]"),
    inCluster("health_checks: [{type: websocket, flow: [{send_json: {a: {__proto__: {weight: 1}}}}]}]"),
    inCluster("triggers: [{on: [active], env: {__proto__: x}, do: [{type: shell, commands: [a]}]}]"),
    inCluster("triggers: [{on: [active], do: [{type: shell, env: {__proto__: x}, commands: [a]}]}]"),
    inCluster("balancers: {b: {type: haproxy, frontends: {__proto__: {bind: 80}}}}"),
    "agent: {labels: {__proto__: x}}",
    "agent: {exec_checks: {__proto__: [a]}}",
    "agent: {exec_checks: {c: {command: [a], env: {__proto__: x}}}}",
    "agent: {proxies: {__proto__: {path: /a, reload: none}}}",
    inCluster("nodes: [{addr: h:1, <<: {__proto__: 1}}]"),
    inCluster('nodes: [{addr: h:1, "__proto__": 1}]'),
  ];
  for (const text of places) {
    assert.match(problemsOf(text).join(), /the key "__proto__" is not allowed: use another name/, text);
  }
});

test("names that could not be told apart or written down are refused", () => {
  for (const name of ["a/b", "a b", "''", "-a", "constructor", "ä", '"a\\nb"']) {
    assert.equal(problemsOf(`clusters: {${name}: {type: http}}`).length, 1, name);
  }
  assert.match(
    problemsOf("clusters: {a: {type: http}, a: {type: http}}").join(),
    /"a" stands here a second time: first in line 1/,
  );
  assert.match(
    problemsOf(
      "clusters: {a: {type: tcp, health_checks: [{type: tcp, name: x}, {type: tcp, name: x}]}}",
    ).join(),
    /"x" is taken/,
  );
});

test("text that is no YAML, too deep or too large for its size is refused quickly", () => {
  const bomb = [
    "a: &a [x,x,x,x,x,x,x,x,x,x]",
    ..."bcdefghi"
      .split("")
      .map((key, at) => `${key}: &${key} [${Array(10).fill(`*${"abcdefgh"[at]}`).join(",")}]`),
  ];
  const refused: readonly (readonly [string, RegExp])[] = [
    ["a: b: c", /not valid YAML/],
    ["a:\n\t- b", /not valid YAML.*tabs/],
    ["a: 'unclosed", /not valid YAML/],
    ["a: 1\n---\nb: 2", /one file holds one document/],
    ["a: !!binary aGVsbG8=", /neither text, number/],
    ["a: !foo bar", /not valid YAML: unresolved tag/],
    ["? [a]\n: b", /a key must be plain text/],
    ["a: *nothing", /there is no anchor &nothing/],
    ["a: &a [*a]", /contains itself/],
    ["- a\n- b", /expected a mapping/],
    ["just text", /expected a mapping/],
    ["agent: {labels: {a: .nan}}", /not a number that can be used/],
    ["agent: {labels: {a: 12345678901234567890}}", /write it in quotes/],
    ["[".repeat(100_000), /nested too deeply/],
    [`${"- ".repeat(3_000)}a`, /nested (too deeply|more than)/],
    [`a: ${"[".repeat(150)}${"]".repeat(150)}`, /nested more than 100 levels/],
    [bomb.join("\n"), /aliases .* add up to more than/],
  ];
  for (const [text, expected] of refused)
    assert.match(problemsOf(text).join("\n"), expected, text.slice(0, 60));
});

test("a file that cannot be read says why and what to do", (context) => {
  const directory = temporaryDirectory(context);
  const file = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const cases: readonly (readonly [string, RegExp, RegExp])[] = [
    [join(directory, "none.yaml"), /there is no such file/, /-c FILE/],
    [directory, /it is a directory/, /inside/],
    [file("latin1.yaml", Uint8Array.from([0x61, 0x3a, 0x20, 0xe4])), /it is not UTF-8 text/, /iconv/],
    [file("large.yaml", Buffer.alloc(CONFIG_LIMITS.fileBytes + 1, "#")), /at most 16 MiB/, /right file/],
  ];
  for (const [path, message, hint] of cases) {
    assert.throws(
      () => readFileConfig(path, {}),
      (thrown: unknown) => {
        assert.ok(thrown instanceof ClusterduckError);
        assert.equal(thrown.code, "CONFIG_UNREADABLE");
        assert.match(thrown.message, message);
        assert.match(thrown.hint ?? "", hint);
        return true;
      },
    );
  }
});

test("relative paths count from the file, and are refused in what comes over the network", (context) => {
  const directory = temporaryDirectory(context);
  const text = `
coordinator: {data_dir: data, pid_file: run/pid}
agent: {state_dir: /var/x, proxies: {lb: {path: lb.cfg, reload: none}}}
clusters: {a: {type: http, triggers: [{on: state, do: {type: shell, cwd: work, commands: "true"}}]}}
`;
  writeFileSync(join(directory, "duck.yaml"), text);

  const config = loadConfig({ path: join(directory, "duck.yaml"), env: {} });

  assert.equal(config.coordinator.dataDir, join(directory, "data"));
  assert.equal(config.coordinator.pidFile, join(directory, "run/pid"));
  assert.equal(config.agent.stateDir, "/var/x");
  assert.equal(config.agent.proxies["lb"]?.path, join(directory, "lb.cfg"));
  assert.equal(config.replicated.clusters["a"]?.triggers[0]?.actions[0]?.cwd, join(directory, "work"));
  assert.deepEqual(problemsOf(text), [
    'clusters.a.triggers[0].do[0].cwd: the path "work" is relative to a file that is not here: use an absolute path',
  ]);
});

test("an agent's file needs neither clusters nor balancers", () => {
  const { agent } = parse(`
agent:
  id: a1
  coordinators: [tls://c1:7400, c2:7400, c1:7400]
  zone: rack-1
  labels: {disk: ssd, units: 4}
  nodes: [{cluster: cache, addr: 127.0.0.1:6379, weight: 2, spare: true}]
  proxies: {lb: {path: /etc/haproxy/x.cfg, reload: {command: systemctl reload haproxy, timeout: 5s}, stats_socket: /run/s}}
`);

  assert.deepEqual(agent.coordinators, ["c1:7400", "c2:7400"]);
  assert.deepEqual(agent.labels, { disk: "ssd", units: "4" });
  assert.deepEqual(agent.nodes, [
    { addr: "127.0.0.1:6379", attributes: { weight: 2 }, isDisabled: false, isSpare: true, cluster: "cache" },
  ]);
  assert.equal(agent.proxies["lb"]?.statsSocket, "/run/s");
  assert.deepEqual(problemsOf("clusters: {a: {type: tcp}}\nagent: {nodes: [{cluster: b, addr: h:1}]}"), [
    'agent.nodes[0].cluster: there is no cluster "b"',
  ]);
});

test("ten thousand nodes load in a few seconds even on a busy machine", () => {
  const nodes = Array.from(
    { length: 10_000 },
    (_, index) => `      - {addr: "10.0.${index >> 8}.${index & 255}:80", weight: 5}\n`,
  );
  const startedAt = performance.now();

  const config = parse(`clusters:\n  web:\n    type: http\n    nodes:\n${nodes.join("")}`);

  assert.equal(config.replicated.clusters["web"]?.nodes.length, 10_000);
  assert.ok(performance.now() - startedAt < 5_000);
});
