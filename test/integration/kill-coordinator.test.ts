/** The built duck-coordinator, killed with SIGKILL under changes over gRPC: none acknowledged is lost, none is half there. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createGrpcClient } from "../../common/grpc/client.js";
import type { NodeAttributes } from "../../common/model/node.js";
import { seededRandom } from "../../common/random.js";
import { verifyLog } from "../../coordinator/log/storage/verify.js";
import { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { killRounds } from "../support/kill-rounds.js";
import type { RunningSubject, Subject } from "../support/kill-rounds.js";
import { runProgram } from "../support/program.js";

const ROUNDS = Number(process.env["ROUNDS"] ?? "10");
const SEED = Number(process.env["SEED"] ?? "1");
const CLUSTER = "web";

test(`every change that duck-coordinator acknowledged survives ${ROUNDS} kills`, async (context) => {
  const folder = await mkdtemp(join(tmpdir(), "duck-kill-"));
  const subject = await coordinatorIn(folder);
  context.after(async () => {
    await subject.end();
    await rm(folder, { recursive: true, force: true, maxRetries: 20 });
  });

  const report = await killRounds({
    subject,
    rounds: ROUNDS,
    random: seededRandom(SEED),
    inFlight: 16,
    longestRoundMs: 400,
  });

  context.diagnostic(JSON.stringify(report));
  // However slow the machine: with less, the kills met nothing to lose.
  assert.ok(report.acknowledged > ROUNDS, `only ${report.acknowledged} changes were acknowledged`);
  assert.deepEqual((await verifyLog(join(folder, "data"))).damages, []);
});

async function coordinatorIn(folder: string): Promise<Subject & { readonly end: () => Promise<void> }> {
  const file = join(folder, "clusterduck.yaml");
  await writeFile(
    file,
    `clusters: {${CLUSTER}: {type: redis}}
coordinator: {id: c1, data_dir: data, listen: "127.0.0.1:0", http: "127.0.0.1:0", snapshot_entries: 200}
`,
  );
  let last: RunningSubject | null = null;
  return {
    start: async () => (last = await start(file)),
    end: async () => last?.kill(),
  };
}

async function start(file: string): Promise<RunningSubject> {
  const program = runProgram("duck-coordinator", ["-c", file]);
  const { grpc } = await program.event((line) => line.event === "coordinator.started");
  const client = createGrpcClient(ControlService, String(grpc));
  return {
    apply: async ({ kind, addr, ...more }) => {
      const node = { cluster: CLUSTER, addr };
      if (kind === "remove") await client.call.removeNode({ node });
      else
        await client.call.addNode({ node, attributes: "attributes" in more ? { ...more.attributes } : {} });
    },
    nodes: async () => {
      const { nodes } = await client.call.listNodes({ cluster: CLUSTER });
      return new Map(nodes.map(({ addr, attributes }) => [addr, { ...attributes } as NodeAttributes]));
    },
    kill: async () => {
      await program.kill();
      client.close();
    },
  };
}
