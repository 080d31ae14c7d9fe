import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfigText } from "./load.js";
import { ConfigError } from "./problem.js";

function messageOfConfig(text: string, env: Readonly<Record<string, string>> = {}): string {
  try {
    parseConfigText(text, "clusterduck.yaml", env);
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.message;
    throw thrown;
  }
  throw new Error("The configuration was accepted");
}

test("the report of a file with many mistakes reads like a compiler's", () => {
  const text = `clusters:
  web:
    type: htpp
    nodes:
      - 10.0.0.1:80
      - { addr: "tcp://10.0.0.1:80", weight: heavy }
      - weight: 1
    health_checks:
      - type: tcp
        evry: 1s
        timeout: 5 parsecs
        fall: 0
    triggers:
      - on: [actve]
        do: [{ type: function }]
    min_active_node: 3
    policy: { removal_budget: 140% }
coordinator:
  listen: 0.0.0.0:7400
  id: \${HOST_ID}
`;

  assert.equal(
    messageOfConfig(text),
    `Cannot use configuration "clusterduck.yaml": 13 problems

clusterduck.yaml:3:11: clusters.web.type: "htpp" is not one of the values
   3 |     type: htpp
     |           ^^^^
  did you mean "http"?
  allowed: redis, http, tcp, grpc, clusterduck-redis, clusterduck-http

clusterduck.yaml:6:17: clusters.web.nodes[1].addr: node 10.0.0.1:80 stands here a second time: first as clusters.web.nodes[0]
   6 |       - { addr: "tcp://10.0.0.1:80", weight: heavy }
     |                 ^^^^^^^^^^^^^^^^^^^

clusterduck.yaml:6:46: clusters.web.nodes[1].weight: expected a number, found the text "heavy"
   6 |       - { addr: "tcp://10.0.0.1:80", weight: heavy }
     |                                              ^^^^^

clusterduck.yaml:7:9: clusters.web.nodes[2].addr: is missing: expected text
   7 |       - weight: 1
     |         ^^^^^^^^^

clusterduck.yaml:10:9: clusters.web.health_checks[0].evry: unknown key "evry"
  10 |         evry: 1s
     |         ^^^^
  did you mean "every"?
  allowed: send, expect, flow, tls, certificate_expiry_days, persistent, type, name, every, interval, interval_after_fail, timeout, fall, rise

clusterduck.yaml:11:18: clusters.web.health_checks[0].timeout: "5 parsecs" is not a duration: use for example 500ms, 10s, 1m30s or 2h
  11 |         timeout: 5 parsecs
     |                  ^^^^^^^^^

clusterduck.yaml:12:15: clusters.web.health_checks[0].fall: is 0, must be at least 1
  12 |         fall: 0
     |               ^

clusterduck.yaml:14:14: clusters.web.triggers[0].on[0]: "actve" is not one of the values
  14 |       - on: [actve]
     |              ^^^^^
  did you mean "active"?
  allowed: nodes, changed, active, state

clusterduck.yaml:15:22: clusters.web.triggers[0].do[0].type: "function" is not one of the values
  15 |         do: [{ type: function }]
     |                      ^^^^^^^^
  allowed: shell

clusterduck.yaml:16:5: clusters.web.min_active_node: unknown key "min_active_node"
  16 |     min_active_node: 3
     |     ^^^^^^^^^^^^^^^
  did you mean "min_active_nodes"?
  allowed: type, nodes, health_checks, triggers, balancers, min_active_nodes, min_spare_nodes, purge_unavailable, pass_without_checks, policy

clusterduck.yaml:17:31: clusters.web.policy.removal_budget: is not a share: use 0 to 1, or 0% to 100%
  17 |     policy: { removal_budget: 140% }
     |                               ^^^^

clusterduck.yaml:19:11: coordinator.listen: would listen beyond this host without TLS: make certificates with \`duckctl tls init\` and name them as coordinator.tls, or use 127.0.0.1:7400
  19 |   listen: 0.0.0.0:7400
     |           ^^^^^^^^^^^^

clusterduck.yaml:20:7: coordinator.id: environment variable HOST_ID is not set: set it, or give a default with \${HOST_ID:-default}
  20 |   id: \${HOST_ID}
     |       ^^^^^^^^^^`,
  );
});

test("a syntax error is shown with its place", () => {
  assert.equal(
    messageOfConfig("clusters:\n  web: {type: http\n"),
    `Cannot use configuration "clusterduck.yaml": 1 problem

clusterduck.yaml:2:19: not valid YAML: flow map in block collection must be sufficiently indented and end with a }
   2 |   web: {type: http
     |                   ^`,
  );
});

test("a secret is never shown, neither as a value nor in its line", () => {
  const texts = [
    "clusters: {a: {type: redis, health_checks: [{type: basic, password: 271828}]}}",
    "clusters: {a: {type: redis, health_checks: [{type: basic, password: [s3cr3t]}]}}",
    "clusters: {a: {type: redis, health_checks: [{type: basic, pasword: s3cr3t}]}}\nx: 1",
    "clusters: {a: {type: http, health_checks: [{type: http, basic_auth: {username: u, password: {x: s3cr3t}}}]}}",
    "clusters:\n  a:\n    type: redis\n    password: s3cr3t: x\n",
    "agent: {labels: {token: 's3cr3t${'}}",
  ];
  for (const text of texts) {
    const message = messageOfConfig(text);
    assert.doesNotMatch(message, /s3cr3t|271828/, text);
  }
  const expanded = messageOfConfig("agent: {zone: {password: '${P}'}}", { P: "s3cr3t" });
  assert.doesNotMatch(expanded, /s3cr3t/);
});

test("a report of very many problems stays readable, and the error carries all of them", () => {
  const nodes = Array.from({ length: 200 }, (_, index) => `    - bad${index}\n`).join("");

  assert.throws(
    () => parseConfigText(`clusters:\n  a:\n    type: tcp\n    nodes:\n${nodes}`, "a.yaml", {}),
    (thrown: ConfigError) => {
      assert.equal(thrown.problems.length, 200);
      assert.match(thrown.message, /200 problems[^]*… and 150 more$/);
      return true;
    },
  );
});

test("the file cannot write to the terminal through a report", () => {
  const message = messageOfConfig('clusters: {a: {type: "\u001b[31mx"}}\n"\u009b2J": 1\n');

  assert.doesNotMatch(message, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
});

test("a problem carries its parts for programs", () => {
  try {
    parseConfigText("clusters:\n  a: {type: redsi}\n", "a.yaml", {});
    assert.fail("accepted");
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError);
    assert.deepEqual(thrown.problems, [
      {
        file: "a.yaml",
        line: 2,
        column: 13,
        path: "clusters.a.type",
        message: '"redsi" is not one of the values',
        value: '"redsi"',
        allowed: ["redis", "http", "tcp", "grpc", "clusterduck-redis", "clusterduck-http"],
        suggestion: "redis",
        sourceLine: "  a: {type: redsi}",
        length: 5,
      },
    ]);
  }
});
