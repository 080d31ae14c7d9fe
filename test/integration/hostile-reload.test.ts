/** SIGHUP with files that people really write: the last good state stays, and the log says what is wrong. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { coordinatorYaml, startCoordinatorProgram } from "../support/coordinator-program.js";
import type { LoggedEvent } from "../support/program.js";

const NODES = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"];
const clusters = (nodes: readonly string[]) =>
  `clusters: {web: {type: http, nodes: ${JSON.stringify(nodes)}, health_checks: [{type: tcp}]}}`;

test("a reload takes a valid file as a whole and any other not at all", async (context) => {
  const { file, program, addrs } = await startCoordinatorProgram(context, coordinatorYaml(clusters(NODES)));
  const reload = async (text: string | null): Promise<LoggedEvent> => {
    const seen = program.events.length;
    if (text === null) rmSync(file);
    else writeFileSync(file, text);
    program.signal("SIGHUP");
    return program.event(
      (line) => /^config\.reload/.test(line.event) && program.events.indexOf(line) >= seen,
    );
  };
  const refusals = new Map<string | null, RegExp>([
    ["clusters:\n  web:\n   type: [http\n", /yaml:3:15: not valid YAML/],
    [clusters(NODES).replace("http", "htttp"), /did you mean \\"http\\"/],
    [clusters(NODES).replace("nodes", "nodez"), /unknown key \\"nodez\\"/],
    [clusters([...NODES, "tcp://127.0.0.1:1"]), /stands here a second time/],
    [clusters(["127.0.0.1:1\nserver evil 10.0.0.1:1"]), /Invalid address/],
    ["", /is empty/],
    ["x".repeat(17 * 1024 * 1024), /at most 16 MiB/],
    [null, /there is no such file/],
  ]);
  for (const [text, expected] of refusals) {
    const { event, error } = await reload(text);
    assert.equal(event, "config.reload_failed");
    assert.match(JSON.stringify(error), expected);
    assert.deepEqual(await addrs(), NODES);
  }

  assert.equal((await reload(coordinatorYaml(clusters(NODES.slice(0, 2))))).event, "config.reloaded");
  assert.deepEqual(await addrs(), NODES.slice(0, 2));
});

test("a reload that changes settings of the process says that they need a restart", async (context) => {
  const { file, program } = await startCoordinatorProgram(context, coordinatorYaml(clusters(NODES)));

  writeFileSync(file, coordinatorYaml(clusters(NODES), 'listen: "127.0.0.1:0", http: off'));
  program.signal("SIGHUP");

  const { settings } = await program.event((line) => line.event === "config.restart_needed");
  assert.deepEqual(settings, ["coordinator.http"]);
});
