import assert from "node:assert/strict";
import { test } from "node:test";

import type { ActionConfig, TriggerConfig } from "../../common/config/model.js";
import type { RunRecord } from "../state/model.js";
import { environmentOf, eventJson } from "./environment.js";

const ACTION: ActionConfig = {
  type: "shell",
  commands: ["true"],
  cwd: null,
  env: {},
  inheritEnv: false,
  timeoutMs: 1_000,
  user: null,
  retries: 0,
};
const TRIGGER: TriggerConfig = { id: "active", on: ["active"], throttleMs: 0, env: {}, actions: [ACTION] };
const RUN: RunRecord = {
  id: "7.0",
  cluster: "web",
  trigger: "active",
  event: {
    type: "active",
    cluster: "web",
    index: 7,
    atMs: 1_000,
    activeAddrs: ["10.0.0.1:80"],
    allAddrs: ["10.0.0.1:80", "10.0.0.2:80"],
    node: null,
  },
  eventIndex: 7,
  createdAtMs: 1_000,
  outcome: "started",
  notBeforeMs: 1_000,
  startedAtMs: 1_000,
  finishedAtMs: null,
  attempts: 1,
  exitCode: null,
  signal: null,
  outputTail: "",
  error: "",
};

test("environmentOf() carries the seed's variables and what happened", () => {
  const env = environmentOf(RUN, TRIGGER, ACTION, {});

  assert.deepEqual(env, {
    CLUSTER: "web",
    EVENT: "active",
    EVENT_INDEX: "7",
    RUN_ID: "7.0",
    TRIGGER: "active",
    nodes_active_addrs: '["10.0.0.1:80"]',
    nodes_active_count: "1",
    nodes_addrs: '["10.0.0.1:80","10.0.0.2:80"]',
    nodes_count: "2",
  });
});

test("environmentOf() names the node of a state event", () => {
  const node = {
    cluster: "web",
    addr: "10.0.0.2:80",
    from: "healthy",
    to: "down",
    cause: "refused",
  } as const;

  const env = environmentOf({ ...RUN, event: { ...RUN.event, type: "state", node } }, TRIGGER, ACTION, {});

  assert.equal(env["NODE"], "10.0.0.2:80");
  assert.equal(env["NODE_FROM"], "healthy");
  assert.equal(env["NODE_STATE"], "down");
  assert.equal(env["NODE_CAUSE"], "refused");
});

test("environmentOf() passes secrets of the coordinator on only with inherit_env", () => {
  const own = { PATH: "/bin", HOME: "/root", SECRET: "x", EMPTY: undefined };

  const without = environmentOf(RUN, TRIGGER, ACTION, own);
  const inherited = environmentOf(RUN, TRIGGER, { ...ACTION, inheritEnv: true }, own);

  assert.equal(without["PATH"], "/bin");
  assert.equal(without["SECRET"], undefined);
  assert.equal(inherited["SECRET"], "x");
  assert.ok(!("EMPTY" in inherited));
});

test("environmentOf() lets the action's env win over the trigger's, and that over all else", () => {
  const trigger = { ...TRIGGER, env: { A: "trigger", B: "trigger", CLUSTER: "mine" } };
  const action = { ...ACTION, env: { A: "action" } };

  const env = environmentOf(RUN, trigger, action, { A: "own", PATH: "/bin" });

  assert.deepEqual([env["A"], env["B"], env["CLUSTER"]], ["action", "trigger", "mine"]);
});

test("eventJson() is one line of JSON with the whole event", () => {
  const text = eventJson(RUN);

  assert.equal(text.indexOf("\n"), text.length - 1);
  assert.deepEqual(JSON.parse(text), { run: "7.0", trigger: "active", attempt: 1, ...RUN.event });
});
