import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfigText } from "../common/config/load.js";
import { changedSettings, settingsOf } from "./restart-needed.js";

const read = (yaml: string) => parseConfigText(yaml, "/etc/clusterduck/clusterduck.yaml", {});
const changed = (before: string, after: string, hasAgent: boolean) =>
  changedSettings(settingsOf(read(before), hasAgent), settingsOf(read(after), hasAgent));

test("changedSettings() names what needs a restart as the file does", () => {
  const before = "coordinator: {id: c1, listen: 7400, data_dir: /a}\nagent: {id: a}";
  const after = "coordinator: {id: c1, listen: 7401, data_dir: /b, http: off}\nagent: {id: b}";

  assert.deepEqual(changed(before, after, false), [
    "coordinator.data_dir",
    "coordinator.listen",
    "coordinator.http",
  ]);
  assert.deepEqual(changed(before, after, true).at(-1), "agent.id");
});

test("changedSettings() sees transports and exec checks, and nothing in clusters", () => {
  const before = "clusters: {web: {type: http}}";

  assert.deepEqual(changed(before, "clusters: {}", true), []);
  assert.deepEqual(
    changed(
      before,
      "transports: [{type: raft, address: '127.0.0.1:9911'}]\nagent: {exec_checks: {c: [echo]}}",
      false,
    ),
    ["transports", "agent.exec_checks"],
  );
});

test("changedSettings() leaves out what an embedded agent takes while it runs", () => {
  const before = "agent: {id: a, zone: a, state_dir: /a}";
  const after = `agent: {id: b, zone: b, labels: {rack: r1}, nodes: [{cluster: web, addr: '10.0.0.1:80'}],
    state_dir: /b, exec_checks: {c: [echo]}, proxies: {lb: {path: /lb, reload: none}}, tls: tls/a.%s}
clusters: {web: {type: http}}
balancers: {lb: {type: haproxy, clusters: [web]}}`;

  assert.deepEqual(changed(before, after, true), [
    "agent.id",
    "agent.state_dir",
    "agent.exec_checks",
    "agent.tls",
  ]);
});
