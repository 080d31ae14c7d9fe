/** SIGHUP to the built duck-agent: a valid file is taken as a whole, any other not at all. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Observation } from "../../common/model/observation.js";
import { atEnd, temporaryFolder } from "../support/at-end.js";
import { HandState, startCoordinator, until } from "../support/fleet-harness.js";
import { runProgram } from "../support/program.js";
import type { LoggedEvent } from "../support/program.js";

const WAIT_MS = 20_000;

test("SIGHUP gives an agent a new check command and its other settings, and a wrong file changes nothing", async (t) => {
  const state = new HandState();
  const options = { command: "probe" };
  state.checks = [{ id: "exec", type: "exec", options, everyMs: 100, timeoutMs: 2_000, fall: 1, rise: 1 }];
  state.add(["127.0.0.1:9"]);
  const { address, heard } = await startCoordinator(t, { state });
  const folder = await temporaryFolder(t);
  const file = join(folder, "agent.yaml");
  const write = (settings: string): void =>
    writeFileSync(file, `agent: {id: a1, coordinators: ["${address}"], state_dir: ${folder}, ${settings}}\n`);
  const declared = (): readonly string[] => heard.declared.at(-1)?.nodes.map(({ addr }) => addr) ?? [];
  const last = (): Observation | undefined => heard.reports.at(-1)?.observation;
  write("exec_checks: {probe: [sh, -c, exit 0]}, nodes: [{cluster: web, addr: '127.0.0.1:9'}]");
  const agent = runProgram("duck-agent", ["-c", file]);
  atEnd(t, () => agent.kill());
  const reload = async (): Promise<LoggedEvent> => {
    const seen = agent.events.length;
    agent.signal("SIGHUP");
    return agent.event((line) => /^config\.reload/.test(line.event) && agent.events.indexOf(line) >= seen);
  };
  await until(() => last()?.outcome === "passed", "the first command's result", WAIT_MS);

  write(
    "exec_checks: {probe: [sh, -c, 'echo broken; exit 7']}, nodes: [{cluster: web, addr: '127.0.0.1:10'}]",
  );
  const taken = await reload();
  await until(() => last()?.outcome === "failed", "the new command's result", WAIT_MS);
  await until(() => declared().join() === "127.0.0.1:10", "the new node is declared", WAIT_MS);

  assert.equal(taken.event, "config.reloaded");
  assert.match(JSON.stringify(last()), /"exitCode".*broken/);

  // The command and the node would do; one value does not.
  write(
    "exec_checks: {probe: [sh, -c, exit 0]}, nodes: [{cluster: web, addr: '127.0.0.1:11'}], state_dirr: /x",
  );
  const refused = await reload();
  const heardBefore = heard.reports.length;
  await until(() => heard.reports.length > heardBefore + 3, "it goes on", WAIT_MS);

  assert.equal(refused.event, "config.reload_failed");
  assert.match(
    JSON.stringify(refused["error"]),
    /agent\.yaml:1:\d+: .*unknown key .*state_dirr.*allowed: id, .*state_dir/,
  );
  assert.ok(heard.reports.slice(heardBefore).every(({ observation }) => observation.outcome === "failed"));
  assert.deepEqual(declared(), ["127.0.0.1:10"]);

  write("exec_checks: {probe: [sh, -c, exit 0]}, nodes: [{cluster: web, addr: nowhere}]");
  assert.match(JSON.stringify((await reload())["error"]), /agent\.yaml:1:\d+: .*nowhere/);

  // What is kept is the last good file: the same again changes nothing, and all of a good one is taken.
  write(
    "exec_checks: {probe: [sh, -c, 'echo broken; exit 7']}, nodes: [{cluster: web, addr: '127.0.0.1:10'}]",
  );
  assert.deepEqual([(await reload())["hasChanged"], last()?.outcome], [false, "failed"]);
  write("exec_checks: {probe: [sh, -c, exit 0]}, nodes: [{cluster: web, addr: '127.0.0.1:12'}]");
  await reload();
  await until(() => last()?.outcome === "passed", "the good file's command", WAIT_MS);
  await until(() => declared().join() === "127.0.0.1:12", "the good file's node", WAIT_MS);
});
