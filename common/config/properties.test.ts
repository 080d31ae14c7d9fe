import assert from "node:assert/strict";
import { test } from "node:test";
import { stringify } from "yaml";
import { diffConfig } from "./diff.js";
import { parseConfigText } from "./load.js";
import type { ReplicatedConfig } from "./model.js";
import { ConfigError } from "./problem.js";
import { fc, runs } from "../../test/support/properties.js";

/** Everything but a ConfigError is a fault of ours. */
function outcomeOf(text: string): "accepted" | ConfigError {
  try {
    parseConfigText(text, "any.yaml", { HOME: "/root" });
    return "accepted";
  } catch (thrown) {
    assert.ok(
      thrown instanceof ConfigError,
      `${String(thrown)}\n${thrown instanceof Error ? thrown.stack : ""}`,
    );
    assert.ok(thrown.problems.length > 0);
    for (const problem of thrown.problems) assert.ok(problem.line >= 1 && problem.column >= 1);
    return thrown;
  }
}

const WORDS = [
  "clusters",
  "type",
  "redis",
  "http",
  "nodes",
  "addr",
  "h:1",
  "10.0.0.1:80",
  "health_checks",
  "basic",
  "every",
  "1s",
  "triggers",
  "on",
  "active",
  "do",
  "shell",
  "commands",
  "balancers",
  "haproxy",
  "agent",
  "coordinator",
  "transports",
  "raft",
  "null",
  "~",
  "true",
  "-1",
  "${HOME}",
  "${X}",
  "$$",
  "&a",
  "*a",
  "<<",
  "!!str",
  "|",
  ">",
  "'",
  '"',
  "#",
  "%YAML",
  "---",
  "...",
  "? ",
  "__proto__",
  "constructor",
  ": ",
  "- ",
  "\n",
  "\n  ",
  "\n    ",
  "{",
  "}",
  "[",
  "]",
  ", ",
  "\t",
  "\u0000",
  "\ud800",
  "\u2028",
];

test("no text makes reading throw anything but a ConfigError", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => void outcomeOf(text)),
    runs(300),
  );
  const yamlish = fc.array(fc.constantFrom(...WORDS), { maxLength: 40 }).map((words) => words.join(""));
  fc.assert(
    fc.property(yamlish, (text) => void outcomeOf(text)),
    runs(500),
  );
});

test("no structure makes checking throw anything but a ConfigError", () => {
  const key = fc.constantFrom(
    "clusters",
    "balancers",
    "transports",
    "coordinator",
    "agent",
    "type",
    "nodes",
    "addr",
    "health_checks",
    "triggers",
    "on",
    "do",
    "env",
    "commands",
    "clusters",
    "mode",
    "path",
    "reload",
    "frontends",
    "bind",
    "listen",
    "http",
    "policy",
    "quorum",
    "name",
    "every",
    "interval",
    "flow",
    "expect_body",
    "proxies",
    "exec_checks",
    "command",
    "labels",
    "password",
    "toString",
    "web",
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 6, depthSize: "large" },
      fc.constantFrom<unknown>(
        null,
        true,
        0,
        -1,
        1.5,
        "",
        "web",
        "redis",
        "http",
        "haproxy",
        "raft",
        "shell",
        "h:1",
        "1s",
        "file",
        "${HOME}",
      ),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(key, tie("value"), { maxKeys: 6 }),
    ),
  }));
  fc.assert(
    fc.property(value, (data) => void outcomeOf(stringify(data))),
    runs(500),
  );
});

const word = fc.stringMatching(/^[a-z][a-z0-9_.:-]{0,11}$/).filter((text) => !(text in Object.prototype));
const address = fc
  .tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 }))
  .map(([host, port]) => `${host}:${port}`);
const node = fc.record(
  {
    addr: address,
    weight: fc.integer({ min: 0, max: 256 }),
    backup: fc.boolean(),
    spare: fc.boolean(),
    disabled: fc.boolean(),
    rack: fc.oneof(fc.stringMatching(/^[a-z0-9 ]{1,8}$/), fc.integer(), fc.boolean()),
  },
  { requiredKeys: ["addr"] },
);
const check = fc.record(
  {
    type: fc.constant("tcp"),
    every: fc.oneof(fc.integer({ min: 10, max: 86_400_000 }), fc.constantFrom("1s", "2m", "500ms")),
    timeout: fc.integer({ min: 1, max: 60_000 }),
    fall: fc.integer({ min: 1, max: 10 }),
  },
  { requiredKeys: ["type"] },
);
const trigger = fc.record({
  on: fc.uniqueArray(fc.constantFrom("nodes", "active", "state"), { minLength: 1 }),
  do: fc.array(
    fc.record({
      type: fc.constant("shell"),
      commands: fc.array(
        fc.string({ minLength: 1 }).filter((text) => !text.includes("\0")),
        { minLength: 1 },
      ),
    }),
    {
      minLength: 1,
    },
  ),
});
const cluster = fc.record(
  {
    type: fc.constantFrom("redis", "http", "tcp", "grpc"),
    nodes: fc.uniqueArray(node, { selector: (entry) => entry.addr }),
    health_checks: fc.array(check, { maxLength: 3 }),
    triggers: fc.array(trigger, { maxLength: 3 }),
    min_active_nodes: fc.nat(10),
  },
  { requiredKeys: ["type"] },
);
const file = fc.dictionary(word, cluster, { maxKeys: 4, noNullPrototype: true });

test("a valid configuration comes back as it was written, in whatever form YAML puts it", () => {
  fc.assert(
    fc.property(file, fc.boolean(), (clusters, isFlow) => {
      const text = stringify(
        { clusters },
        { aliasDuplicateObjects: false, ...(isFlow ? { collectionStyle: "flow" } : {}) },
      );

      const { replicated } = parseConfigText(text, "any.yaml", {});

      assert.deepEqual(Object.keys(replicated.clusters).sort(), Object.keys(clusters).sort());
      for (const [name, written] of Object.entries(clusters)) {
        const read = replicated.clusters[name];
        assert.equal(read?.type, written.type);
        assert.equal(read.minActiveNodes, written.min_active_nodes ?? 0);
        assert.deepEqual(
          read.nodes.map((entry) => ({
            addr: entry.addr,
            ...entry.attributes,
            disabled: entry.isDisabled,
            spare: entry.isSpare,
          })),
          (written.nodes ?? []).map((entry) => ({ disabled: false, spare: false, ...entry })),
        );
        assert.deepEqual(
          read.triggers.map((entry) => entry.actions.map((action) => action.commands)),
          (written.triggers ?? []).map((entry) => entry.do.map((action) => action.commands)),
        );
        assert.equal(
          new Set(read.checks.map((entry) => entry.id)).size,
          (written.health_checks ?? []).length,
        );
      }
    }),
    runs(200),
  );
});

test("a configuration is plain JSON: it passes through the log unchanged", () => {
  fc.assert(
    fc.property(file, (clusters) => {
      const { replicated } = parseConfigText(stringify({ clusters }), "any.yaml", {});

      const logged = JSON.parse(JSON.stringify(replicated)) as ReplicatedConfig;

      assert.deepEqual(logged, replicated);
      assert.deepEqual(diffConfig(replicated, logged), []);
    }),
    runs(100),
  );
});

test("the differences from one configuration to another mirror those back", () => {
  fc.assert(
    fc.property(file, file, (left, right) => {
      const [before, after] = [left, right].map(
        (clusters) => parseConfigText(stringify({ clusters }), "any.yaml", {}).replicated,
      ) as [ReplicatedConfig, ReplicatedConfig];
      const turned = { add: "remove", remove: "add", change: "change" } as const;

      const back = diffConfig(after, before).map((change) => ({
        kind: turned[change.kind],
        path: change.path,
        before: change.after,
        after: change.before,
      }));

      assert.deepEqual(diffConfig(before, after), back);
    }),
    runs(100),
  );
});
