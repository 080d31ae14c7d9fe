/** A replica over a durable log in a process of its own, for tests that kill it. Lines of JSON in and out. */
import { createInterface } from "node:readline";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/logger.js";
import type { NodeAttributes } from "../../common/model/node.js";
import { openSingleMemberLog } from "../../coordinator/log/single-member-log.js";
import { ensureInitialised, openReplica } from "../../coordinator/replica-over-log.js";
import { clusterOf } from "./cluster-config.js";
import type { NodeChange } from "./kill-rounds.js";

export type ChildRequest = { readonly id: number } & (
  { readonly change: NodeChange } | { readonly wants: "nodes" }
);
export type ChildReply =
  | { readonly id: "ready" }
  | { readonly id: number; readonly nodes?: readonly (readonly [string, NodeAttributes])[] }
  | { readonly id: number; readonly refused: string };

const CLUSTER = "web";
const dir = process.argv[2];
if (dir === undefined) throw new Error("Usage: replica-child DIRECTORY");

const log = await openSingleMemberLog({
  dir,
  memberId: "c1",
  clock: systemClock,
  logger: silentLogger,
  segmentBytes: 256 * 1024,
  reserveBytes: 0,
});
const replica = await openReplica({
  log,
  clock: systemClock,
  logger: silentLogger,
  snapshotEntries: 200,
  onFailure: (error) => {
    throw error;
  },
});
await ensureInitialised(replica);
const clusters = { [CLUSTER]: clusterOf({ name: CLUSTER, type: "redis" }) };
await replica.propose(
  {
    type: "applyConfig",
    config: { clusters, balancers: {} },
    yaml: "",
    source: "file",
    fileHash: "1",
    ifRevision: null,
  },
  "file",
);
reply({ id: "ready" });

createInterface({ input: process.stdin }).on("line", (line) => void answer(JSON.parse(line) as ChildRequest));

async function answer(request: ChildRequest): Promise<void> {
  const { id } = request;
  if ("wants" in request) {
    reply({ id, nodes: [...replica.state.nodes.values()].map(({ addr, attributes }) => [addr, attributes]) });
    return;
  }
  const { change } = request;
  const node = { cluster: CLUSTER, addr: change.addr };
  const { result } = await replica.propose(
    change.kind === "add"
      ? { type: "addNode", node, attributes: change.attributes, isIdempotent: false }
      : { type: "removeNode", node, reason: "test" },
    "api:test",
  );
  reply(result.isAccepted ? { id } : { id, refused: result.message });
}

function reply(message: ChildReply): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
