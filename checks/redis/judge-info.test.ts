import assert from "node:assert/strict";
import { test } from "node:test";
import { infoOptions } from "../../common/config/checks/info.js";
import { parseInfo } from "./info-text.js";
import { judgeInfo } from "./judge-info.js";
import { meaningOfReply } from "./replies.js";
import { parseRole, roleFromInfo } from "./role.js";

type Given = {
  role?: unknown;
  info?: Record<string, string | number>;
  options?: object;
  minReplicas?: number;
};

function judge({ role = ["master", 100, []], info = {}, options = {}, minReplicas }: Given): string {
  const text = Object.entries(info).map(([name, value]) => `${name}:${value}`);
  const found = judgeInfo(
    {
      role: parseRole(role),
      fields: parseInfo(["# Section", ...text, ""].join("\r\n")),
      minReplicasToWrite: minReplicas ?? null,
    },
    infoOptions.parse(options),
  );
  return found.outcome === "passed" ? "passed" : `${found.outcome}/${found.reason}`;
}

const replica = ["slave", "10.0.0.1", 6379, "connected", 100];
const lost = ["slave", "10.0.0.1", 6379, "connect", -1];

test("INFO and ROLE tell the states of a server apart", () => {
  const cases: readonly (readonly [Given, string])[] = [
    [{}, "passed"],
    [{ role: ["sentinel", []] }, "inconclusive/mismatch"],
    [{ role: "nonsense" }, "inconclusive/mismatch"],
    [{ info: { loading: 1, loading_eta_seconds: 3 } }, "failed/loading"],
    [{ info: { loading: 0, async_loading: 1 } }, "degraded/loading"],
    [{ info: { aof_last_write_status: "err" } }, "degraded/notWritable"],
    [{ info: { rdb_last_bgsave_status: "err" } }, "passed"],
    [{ info: { maxmemory: 10, used_memory: 11, maxmemory_policy: "noeviction" } }, "degraded/notWritable"],
    [{ info: { maxmemory: 10, used_memory: 11, maxmemory_policy: "allkeys-lru" } }, "passed"],
    [
      {
        info: {
          maxmemory: 10,
          used_memory: 12,
          mem_not_counted_for_evict: 3,
          maxmemory_policy: "noeviction",
        },
      },
      "passed",
    ],
    [{ role: replica, info: { maxmemory: 10, used_memory: 11, maxmemory_policy: "noeviction" } }, "passed"],
    [{ info: { min_slaves_good_slaves: 1 } }, "passed"],
    [{ info: { min_slaves_good_slaves: 1 }, minReplicas: 2 }, "degraded/notWritable"],
    [{ info: { min_slaves_good_slaves: 0 } }, "degraded/notWritable"],
    [{ info: { paused_actions: "write" } }, "degraded/notWritable"],
    [{ info: { connected_clients: 5, maxclients: 5 } }, "degraded/connectionLimit"],
    [{ options: { require_role: "replica" } }, "degraded/mismatch"],
    [{ role: replica, info: { master_link_status: "up", master_last_io_seconds_ago: 3 } }, "passed"],
    [
      { role: replica, info: { master_last_io_seconds_ago: 3 }, options: { max_lag: "2s" } },
      "degraded/staleReplica",
    ],
    [
      {
        role: replica,
        info: { slave_read_repl_offset: 30, slave_repl_offset: 10 },
        options: { max_lag_bytes: 19 },
      },
      "degraded/staleReplica",
    ],
  ];
  for (const [given, expected] of cases) assert.equal(judge(given), expected, JSON.stringify(given));
});

test("a replica that never synchronised fails, one that lost its primary follows the option", () => {
  const never = { master_link_status: "down", master_link_down_since_seconds: -1, master_repl_offset: 0 };
  const old = { ...never, master_link_down_since_seconds: 1_790_000_000 };
  const was = { master_link_status: "down", master_link_down_since_seconds: 5, master_repl_offset: 0 };

  assert.equal(judge({ role: lost, info: never }), "failed/staleReplica");
  assert.equal(judge({ role: lost, info: old }), "failed/staleReplica");
  // Restarted with its data, or demoted with it: what it answers is old, but not nothing.
  assert.equal(judge({ role: lost, info: { ...never, db0: "keys=1" } }), "degraded/staleReplica");
  assert.equal(judge({ role: lost, info: { ...never, master_repl_offset: 9 } }), "degraded/staleReplica");
  assert.equal(judge({ role: lost, info: was }), "degraded/staleReplica");
  assert.equal(judge({ role: lost, info: was, options: { stale_replica: "failed" } }), "failed/staleReplica");
  assert.equal(judge({ role: lost, info: was, options: { stale_replica: "allowed" } }), "passed");
});

test("where ROLE is forbidden, INFO tells the role", () => {
  const fields = parseInfo(
    "role:slave\r\nmaster_host:::1\r\nmaster_port:6379\r\nmaster_link_status:up\r\nslave_repl_offset:7\r\n",
  );

  assert.deepEqual(roleFromInfo(fields), {
    kind: "replica",
    primary: "[::1]:6379",
    link: "connected",
    offset: 7,
  });
});

test("error replies have the meaning of their first word", () => {
  const cases = {
    "LOADING Redis is loading the dataset in memory": "failed/loading",
    "BUSY Redis is busy running a script": "degraded/busy",
    "MISCONF Redis is configured to save RDB snapshots": "degraded/notWritable",
    "OOM command not allowed when used memory > 'maxmemory'.": "degraded/notWritable",
    "NOREPLICAS Not enough good replicas to write.": "degraded/notWritable",
    "READONLY You can't write against a read only replica.": "degraded/notWritable",
    "MASTERDOWN Link with MASTER is down": "degraded/staleReplica",
    "NOAUTH Authentication required.": "inconclusive/auth",
    "WRONGPASS invalid username-password pair": "inconclusive/auth",
    "NOPERM this user has no permissions": "inconclusive/auth",
    "ERR max number of clients reached": "degraded/connectionLimit",
    "ERR unknown command 'X'": "failed/mismatch",
  };
  for (const [message, expected] of Object.entries(cases)) {
    const { outcome, reason } = meaningOfReply(message);
    assert.equal(`${outcome}/${reason}`, expected, message);
  }
});
