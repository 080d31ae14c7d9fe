/** Replica and log in a process that is killed with SIGKILL: nothing acknowledged is lost, nothing is half there. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { seededRandom } from "../../common/random.js";
import { verifyLog } from "../../coordinator/log/storage/verify.js";
import { temporaryFolder } from "../support/at-end.js";
import { killRounds } from "../support/kill-rounds.js";
import type { NodeChange, RunningSubject, Subject } from "../support/kill-rounds.js";
import type { ChildReply, ChildRequest } from "../support/replica-child.js";

const ROUNDS = Number(process.env["ROUNDS"] ?? "20");
const SEED = Number(process.env["SEED"] ?? "1");
const CHILD = fileURLToPath(new URL("../support/replica-child.ts", import.meta.url));

test(`every acknowledged change survives ${ROUNDS} kills, and none is half applied`, async (context) => {
  const directory = await temporaryFolder(context, "duck-kill-");

  const report = await killRounds({
    subject: replicaIn(directory),
    rounds: ROUNDS,
    random: seededRandom(SEED),
    inFlight: 16,
    longestRoundMs: 400,
  });

  context.diagnostic(JSON.stringify(report));
  assert.ok(report.acknowledged > ROUNDS * 10, `only ${report.acknowledged} changes were acknowledged`);
  assert.deepEqual((await verifyLog(directory)).damages, []);
});

function replicaIn(directory: string): Subject {
  return { start: () => start(directory) };
}

async function start(directory: string): Promise<RunningSubject> {
  const child = spawn(process.execPath, ["--import", "tsx", CHILD, directory], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const gone = once(child, "exit");
  // Writing to a killed child fails; the kill is what the test is about.
  child.stdin.on("error", () => undefined);
  const waiting = new Map<number, (reply: ChildReply) => void>();
  const ready = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const reply = JSON.parse(line) as ChildReply;
      if (reply.id === "ready") return resolve();
      waiting.get(reply.id)?.(reply);
      waiting.delete(reply.id);
    });
  });
  await Promise.race([
    ready,
    gone.then(([code]) => {
      throw new Error(`The child ended with ${String(code)} before it was ready`);
    }),
  ]);
  let lastId = 0;
  const ask = (request: { readonly change: NodeChange } | { readonly wants: "nodes" }): Promise<ChildReply> =>
    new Promise((resolve) => {
      const id = ++lastId;
      waiting.set(id, resolve);
      child.stdin.write(`${JSON.stringify({ id, ...request } satisfies ChildRequest)}\n`);
    });
  return {
    apply: async (change) => {
      const reply = await ask({ change });
      if ("refused" in reply) throw new Error(reply.refused);
    },
    nodes: async () => {
      const reply = await ask({ wants: "nodes" });
      return new Map("nodes" in reply ? reply.nodes : []);
    },
    kill: async () => {
      child.kill("SIGKILL");
      await gone;
    },
  };
}
