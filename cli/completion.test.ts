import assert from "node:assert/strict";
import { test } from "node:test";

import { buildProgram } from "./command-line.js";
import { completionsFor, serverIn } from "./completion.js";
import type { CliIo } from "./io.js";

const IO: CliIo = {
  out: () => undefined,
  err: () => undefined,
  env: {},
  isTerminal: false,
  hasColours: false,
  width: 80,
  ask: null,
  readInput: async () => "",
  signal: new AbortController().signal,
  nowMs: () => 0,
};

async function complete(...words: readonly string[]): Promise<readonly string[]> {
  const program = buildProgram(IO, () => undefined);
  const names = {
    clusters: ["web", "cache"],
    nodes: ["web/10.0.0.1:80", "web/10.0.0.2:80", "cache/10.0.0.1:6379"],
    triggers: ["web/active", "cache/state"],
    balancers: ["edge"],
  };
  return (await completionsFor(program, words, async () => names)).map(({ word }) => word);
}

test("completion offers the commands that begin with what is written, and hides the internal one", async () => {
  assert.deepEqual(await complete("no"), ["nodes", "node-info"]);
  assert.ok(!(await complete("")).includes("__complete"));
});

test("completion offers the words of a group, also by its alias", async () => {
  assert.deepEqual(await complete("nodes", "dr"), ["drain"]);
  assert.deepEqual(await complete("node", "dr"), ["drain"]);
});

test("completion offers live names where an argument stands for one", async () => {
  assert.deepEqual(await complete("clusters", "get", ""), ["web", "cache"]);
  assert.deepEqual(await complete("explain", "web/"), ["web/10.0.0.1:80", "web/10.0.0.2:80"]);
  assert.deepEqual(await complete("nodes", "drain", "web", "10.0.0.2"), ["10.0.0.2:80"]);
  assert.deepEqual(await complete("triggers", "runs", "web", ""), ["active"]);
  assert.deepEqual(await complete("balancers", "config", ""), ["edge"]);
  assert.deepEqual(await complete("clusters", "get", "web", ""), []);
});

test("completion passes over options and their values when it counts arguments", async () => {
  assert.deepEqual(await complete("nodes", "-o", "json", "drain", "--reason", "disk swap", "we"), [
    "web",
    "web/10.0.0.1:80",
    "web/10.0.0.2:80",
  ]);
});

test("completion offers the values of an option that has a few", async () => {
  assert.deepEqual(await complete("nodes", "list", "-o", "j"), ["json"]);
  assert.deepEqual(await complete("nodes", "list", "--state", "d"), ["degraded", "down"]);
  assert.deepEqual(await complete("completion", ""), ["bash", "zsh", "fish"]);
});

test("completion offers a command's options and those above it", async () => {
  const options = await complete("nodes", "list", "--");

  assert.ok(options.includes("--state"));
  assert.ok(options.includes("--output"));
});

test("serverIn() finds the server that the line under way names", () => {
  assert.equal(serverIn(["-s", "h:1", "nodes", ""]), "h:1");
  assert.equal(serverIn(["nodes", "--server=h:2", ""]), "h:2");
  assert.equal(serverIn(["nodes", "list", "-s"]), undefined);
});
