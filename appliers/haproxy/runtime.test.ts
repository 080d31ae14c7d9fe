import assert from "node:assert/strict";
import { test } from "node:test";

import { parseServersState, planRuntime } from "./runtime.js";
import { readConfiguration } from "./server-lines.js";

const HEADER =
  "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port";

function running(...rows: readonly string[]) {
  return { worker: "1@1", marker: "", servers: parseServersState([HEADER, ...rows, ""].join("\n")) };
}

function row(name: string, admin: number, weight: number, initial: number, port = 80): string {
  return `3 web 1 ${name} 10.0.0.1 2 ${admin} ${weight} ${initial} 9 1 0 2 0 0 0 0 - ${port} - 0 0 - - 0`;
}

function wanted(...lines: readonly string[]) {
  return readConfiguration(["backend web", ...lines].join("\n"), "all").servers;
}

test("states and weights that differ become commands, removals first", () => {
  const servers = wanted(
    "server back 10.0.0.1:80 weight 7",
    "server out 10.0.0.1:80 disabled",
    "server drained 10.0.0.1:80 weight 0",
    "server same 10.0.0.1:80 weight 3 # weight 9 disabled",
  );

  const plan = planRuntime(
    servers,
    running(row("back", 5, 1, 1), row("out", 0, 1, 1), row("drained", 0, 5, 5), row("same", 4, 3, 3)),
  );

  assert.deepEqual(plan, {
    commands: [
      "set server web/out state maint",
      "set server web/drained weight 0",
      "set server web/back weight 7",
      "set server web/back state ready",
    ],
    obstacles: [],
  });
});

test("what no command mends is an obstacle", () => {
  const servers = wanted("server gone 10.0.0.1:80", "server moved 10.0.0.1:81", "server zero 10.0.0.1:80");

  const plan = planRuntime(servers, running(row("moved", 0, 1, 1), row("zero", 0, 0, 0)));

  assert.deepEqual(plan.commands, []);
  assert.deepEqual(plan.obstacles, [
    "server web/gone is not in the running HAProxy",
    "server web/moved has another address in the running HAProxy",
    "server web/zero was started with weight 0",
  ]);
});

test("a state file's or a name's address is not compared, IPv6 and unix neither", () => {
  const servers = wanted("server name host.example:80", "server unix unix@/run/x", "server v6 [::1]:80");

  const plan = planRuntime(
    servers,
    running(row("name", 0, 1, 1), row("unix", 0, 1, 1, 0), row("v6", 0, 1, 1)),
  );

  assert.deepEqual(plan, { commands: [], obstacles: [] });
});

test("the structure ignores weight, disabled and the generation marker, and nothing else", () => {
  const structure = (text: string) => readConfiguration(text, "all").structure;
  const base = "global\n  setenv CD_GEN a\nbackend web\n  server a 10.0.0.1:80 weight 3 maxconn 5\n";

  assert.equal(
    structure(base.replace("weight 3", "weight 9 disabled").replace("CD_GEN a", "CD_GEN b")),
    structure(base),
  );
  for (const [from, to] of [
    ["maxconn 5", "maxconn 6"],
    ["10.0.0.1:80", "10.0.0.2:80"],
    ["backend web", "backend api"],
    ["server a", "server b"],
  ] as const) {
    assert.notEqual(structure(base.replace(from, to)), structure(base));
  }
});

test("in a user's file only lines between the markers are ours", () => {
  const text =
    "backend web\n  server mine 10.0.0.1:80 disabled\n  #<servers>\n  server ours 10.0.0.2:80 weight 0\n  #</servers>\n";

  const facts = readConfiguration(text, "markers");

  assert.deepEqual(
    facts.servers.map((server) => `${server.backend}/${server.name}`),
    ["web/ours"],
  );
  assert.notEqual(readConfiguration(text.replace(" disabled", ""), "markers").structure, facts.structure);
  assert.equal(readConfiguration(text.replace(" weight 0", ""), "markers").structure, facts.structure);
});
