import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfigText } from "./load.js";

/* The YAML examples of the original's README, character by character. */

const CLUSTER = `# clusters:

my_redis_cluster:
  type: clusterduck-redis
`;
const NODES = `    # List of nodes
    nodes:
      - addr: 127.0.0.1:6379
      - addr: 127.0.0.1:6380
`;
const HEALTH_CHECKS = `    health_checks:
      - type: basic
        timeout: 1s
        every: 1s
        commands:
          - [ 'SET', 'x', 'y' ]
`;
const TRIGGERS = `    triggers:
      - on: [ active ]
        do:
          - type: shell
            cwd: /tmp
            commands:
              - "echo $nodes_active_addrs > active_nodes.json"
`;
const TRANSPORTS = `transports:
`;
const RAFT = `  - type: raft
    address: tls://127.0.0.1:9911
    bootstrap: [ tls://127.0.0.1:9910 ]
`;
const HTTP = `  - type: http
    listen: 8880
`;

const indent = (text: string, by: string): string => text.replaceAll(/^(?=.)/gm, by);
const dedent = (text: string): string => text.replaceAll(/^ {2}/gm, "");

test("the README's first example loads as it stands: a cluster at the top level", () => {
  const { replicated } = parseConfigText(CLUSTER, "/etc/clusterduck/clusterduck.yaml", {});

  assert.deepEqual(Object.keys(replicated.clusters), ["my_redis_cluster"]);
  assert.equal(replicated.clusters["my_redis_cluster"]?.type, "redis");
  assert.deepEqual(replicated.clusters["my_redis_cluster"]?.nodes, []);
});

test("the README's transports load, with and without entries", () => {
  assert.equal(parseConfigText(TRANSPORTS, "a.yaml", {}).coordinator.http?.port, 8484);

  const { coordinator } = parseConfigText(TRANSPORTS + RAFT + HTTP, "a.yaml", {});

  assert.deepEqual(coordinator.raft.address, { host: "127.0.0.1", port: 9911 });
  assert.deepEqual(coordinator.raft.bootstrap, ["127.0.0.1:9910"]);
  assert.deepEqual(coordinator.http, { host: "127.0.0.1", port: 8880 });
});

for (const [form, text] of [
  [
    "below clusters",
    `clusters:\n${indent(CLUSTER.split("\n\n")[1] ?? "", "  ")}${NODES}${HEALTH_CHECKS}${TRIGGERS}`,
  ],
  ["at the top level", CLUSTER + dedent(NODES + HEALTH_CHECKS + TRIGGERS)],
] as const) {
  test(`the README's cluster, put together ${form}, loads with everything it says`, () => {
    const { replicated } = parseConfigText(
      text + TRANSPORTS + RAFT + HTTP,
      "/etc/clusterduck/clusterduck.yaml",
      {},
    );

    const cluster = replicated.clusters["my_redis_cluster"];
    assert.equal(cluster?.type, "redis");
    assert.deepEqual(
      cluster.nodes.map((node) => node.addr),
      ["127.0.0.1:6379", "127.0.0.1:6380"],
    );
    const [check] = cluster.checks;
    assert.deepEqual(check, {
      id: "basic",
      type: "basic",
      options: { commands: [["SET", "x", "y"]] },
      everyMs: 1000,
      timeoutMs: 1000,
      fall: 3,
      rise: 2,
    });
    const [trigger] = cluster.triggers;
    assert.deepEqual(trigger?.on, ["active"]);
    assert.equal(trigger.id, "active");
    assert.deepEqual(trigger.actions[0]?.commands, ["echo $nodes_active_addrs > active_nodes.json"]);
    assert.equal(trigger.actions[0]?.cwd, "/tmp");
  });
}

test("what the original does beyond its README loads as well", () => {
  const text = `
clusters:
  web:
    type: clusterduck-http
    min_active_nodes: 2
    min_spare_nodes: 1
    purge_unavailable: 1h
    pass_without_checks: true
    nodes:
      - addr: tcp://10.0.0.1:80
        weight: 5
        maxconn: 100
        cookie: a
        check: true
        backup: false
        comment: the first
      - { addr: 10.0.0.2:80, spare: true, max_conns: 10, max_fails: 3, fail_timeout: 10s, slow_start: 30s, route: r, service: s, down: false, resolve: true, drain: false }
      - { addr: /run/web.sock, disabled: true, rack: 7 }
      - 10.0.0.3:80
    health_checks:
      - type: websocket
        url: wss://example.com/feed
        interval: 5s
        interval_after_fail: 1s
        flow:
          - send_json: { hello: null }
          - expect_json: { match: [status, eq, ok], skip_forward: true }
    triggers:
      - { on: [nodes, active], throttle: 1s, env: { A: 1, B: yes }, do: [{ type: shell, inherit_env: true, commands: "true" }] }
      - { on: [changed], do: [{ type: shell, commands: ["echo $CLUSTER \${CLUSTER}"] }] }
      - { on: state, do: [{ type: shell, commands: ["true"] }] }
`;

  const web = parseConfigText(text, "a.yaml", {}).replicated.clusters["web"];

  assert.equal(web?.type, "http");
  assert.equal(web.purgeUnavailableMs, 3_600_000);
  assert.deepEqual([web.minActiveNodes, web.minSpareNodes, web.passWithoutChecks], [2, 1, true]);
  assert.deepEqual(web.nodes[0], {
    addr: "10.0.0.1:80",
    attributes: { weight: 5, maxconn: 100, cookie: "a", check: true, backup: false, comment: "the first" },
    isDisabled: false,
    isSpare: false,
  });
  assert.equal(web.nodes[1]?.isSpare, true);
  assert.deepEqual(web.nodes[2], {
    addr: "unix:/run/web.sock",
    attributes: { rack: 7 },
    isDisabled: true,
    isSpare: false,
  });
  assert.equal(web.checks[0]?.everyMs, 5000);
  assert.deepEqual((web.checks[0]?.options["flow"] as unknown[])[0], { send_json: { hello: null } });
  assert.deepEqual(
    web.triggers.map((trigger) => [trigger.id, trigger.on]),
    [
      ["nodes+active", ["nodes", "active"]],
      ["nodes", ["nodes"]],
      ["state", ["state"]],
    ],
  );
  assert.deepEqual(web.triggers[0]?.env, { A: "1", B: "yes" });
  assert.deepEqual(web.triggers[1]?.actions[0]?.commands, ["echo $CLUSTER ${CLUSTER}"]);
});
