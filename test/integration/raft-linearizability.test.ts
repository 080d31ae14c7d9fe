/**
 * Three members in processes of their own, which are killed (SIGKILL) and stopped (SIGSTOP) again and again
 * while clients write and read. What the clients saw must be linearizable. SECONDS=600 goes on for longer;
 * HISTORY=FILE keeps the history, as lines of JSON for other checkers.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { seededRandom } from "../../common/random.js";
import type { Random } from "../../common/random.js";
import { Client } from "../simulation/raft/client.js";
import type { Attempt, Service } from "../simulation/raft/client.js";
import type { Command, Result } from "../simulation/raft/machine.js";
import { freePorts } from "../support/free-port.js";
import { judge } from "../support/linearizability/checker.js";
import { formatHistory } from "../support/linearizability/history.js";
import type { Operation, Value } from "../support/linearizability/history.js";
import type { MemberReply, MemberRequest } from "../support/raft-member-child.js";
import { until } from "../support/until.js";

const SECONDS = Number(process.env["SECONDS"] ?? "15");
const SEED = Number(process.env["SEED"] ?? "1");
const HISTORY = process.env["HISTORY"];
const CHILD = fileURLToPath(new URL("../support/raft-member-child.ts", import.meta.url));
const CLIENTS = 5;

test("what clients of three killed and stopped members saw is linearizable", async (context) => {
  const random = seededRandom(SEED);
  const directory = mkdtempSync(join(tmpdir(), "duck-tier-"));
  const ports = await freePorts(3);
  const founding = ports.map((port, at) => ({
    id: `c${at + 1}`,
    role: "voter",
    address: `127.0.0.1:${port}`,
  }));
  const members = founding.map(
    ({ id }, at) =>
      new MemberProcess(id, [join(directory, id), id, String(ports[at]), JSON.stringify(founding)]),
  );
  context.after(() => {
    for (const member of members) member.kill();
    rmSync(directory, { recursive: true, force: true, maxRetries: 20 });
  });
  for (const member of members) member.start();
  await until(() => members.every(({ isReady }) => isReady), "all members are ready", 60_000);

  const history: Operation[] = [];
  const clients = startClients(members, history, random);
  await until(() => acknowledged(clients) > 20, "operations are acknowledged", 60_000);
  const faults = await strike(members, random, SECONDS * 1000);
  for (const member of members) member.heal();
  const before = acknowledged(clients);
  await until(() => acknowledged(clients) > before + 20, "operations go on in the end", 60_000);
  for (const client of clients) client.end();

  if (HISTORY !== undefined) writeFileSync(HISTORY, formatHistory(history));
  context.diagnostic(
    JSON.stringify({ operations: history.length, acknowledged: acknowledged(clients), ...faults }),
  );
  const judgement = judge(history);
  if (judgement.kind !== "linearizable") {
    const file = join(tmpdir(), `duck-history-${SEED}.jsonl`);
    writeFileSync(file, formatHistory(history));
    assert.fail(`${judgement.kind}: ${JSON.stringify(judgement).slice(0, 2_000)}\nthe history is in ${file}`);
  }
});

function acknowledged(clients: readonly Client[]): number {
  return clients.reduce((sum, client) => sum + client.acknowledged, 0);
}

/** Kills and stops members, at times two at once, so that nothing can be decided for a while. */
async function strike(
  members: readonly MemberProcess[],
  random: Random,
  durationMs: number,
): Promise<{ readonly kills: number; readonly stops: number }> {
  const count = { kills: 0, stops: 0 };
  const untilMs = performance.now() + durationMs;
  while (performance.now() < untilMs) {
    const victims = members.filter(() => random() < 0.5).slice(0, 2);
    for (const victim of victims) {
      if (random() < 0.5) {
        victim.kill();
        count.kills++;
      } else {
        victim.stop();
        count.stops++;
      }
    }
    await delay(200 + random() * 1_500);
    for (const victim of victims) victim.heal();
    await delay(random() * 2_000);
  }
  return count;
}

function startClients(
  members: readonly MemberProcess[],
  history: Operation[],
  random: Random,
): readonly Client[] {
  const startedMs = performance.now();
  const timeline = {
    get nowMs(): number {
      return performance.now() - startedMs;
    },
    in: (delayMs: number, run: () => void): void => void setTimeout(run, delayMs).unref(),
  };
  const byId = new Map(members.map((member) => [member.id, member]));
  const service: Service = {
    memberIds: () => members.map(({ id }) => id),
    submit: (id, command, answer) =>
      byId.get(id)?.ask({ command }, answer as (attempt: Attempt<unknown>) => void),
    read: (id, key, answer) => byId.get(id)?.ask({ key }, answer as (attempt: Attempt<unknown>) => void),
  };
  return Array.from({ length: CLIENTS }, (_, at) => {
    const client = new Client({
      id: `client${at + 1}`,
      timeline,
      random,
      service,
      history,
      keys: ["r1", "r2", "l1"],
      thinkMs: 20,
      attemptMs: 1_500,
      operationMs: 10_000,
    });
    client.start();
    return client;
  });
}

type Answer = (attempt: Attempt<Result | Value>) => void;
type Question = { readonly command: Command } | { readonly key: string };

/** One member's process. A stopped or dead one does not answer. */
class MemberProcess {
  readonly id: string;
  isReady = false;
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;
  #questions = 0;
  #waiting = new Map<number, Answer>();

  constructor(id: string, args: readonly string[]) {
    this.id = id;
    this.#args = args;
  }

  start(): void {
    const child = spawn(process.execPath, ["--import", "tsx", CHILD, ...this.#args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child = child;
    // Writing to a killed child fails; the kill is what the test is about.
    child.stdin?.on("error", () => undefined);
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (this.#child === child) this.#onReply(JSON.parse(line) as MemberReply);
    });
  }

  ask(question: Question, answer: (attempt: Attempt<unknown>) => void): void {
    if (!this.isReady) return;
    const request: MemberRequest = { id: ++this.#questions, ...question };
    this.#waiting.set(request.id, answer);
    this.#child?.stdin?.write(`${JSON.stringify(request)}\n`);
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
    this.#child = null;
    this.isReady = false;
    this.#waiting.clear();
  }

  stop(): void {
    this.#child?.kill("SIGSTOP");
  }

  heal(): void {
    if (this.#child === null) this.start();
    else this.#child.kill("SIGCONT");
  }

  #onReply(reply: MemberReply): void {
    if (reply.id === "ready") {
      this.isReady = true;
      return;
    }
    const answer = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("value" in reply) answer?.({ kind: "done", value: reply.value });
    else answer?.({ kind: reply.hasNotHappened ? "refused" : "unknown", leaderId: null });
  }
}
