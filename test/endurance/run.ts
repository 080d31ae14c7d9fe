/** A tier under faults and under load, and what must be true of it in the end. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../../common/random.js";
import { decodeSnapshot } from "../../coordinator/log/storage/snapshot-file.js";
import { realDisk } from "../../coordinator/log/storage/disk.js";
import { readDirectory } from "../../coordinator/log/storage/read-directory.js";
import { judge } from "../support/linearizability/checker.js";
import { formatHistory } from "../support/linearizability/history.js";
import { Clients, clustersFor } from "./clients.js";
import { idsOf, startDistantTier } from "./distant-tier.js";
import type { DistantMember, DistantTier } from "./distant-tier.js";
import { strike } from "./nemesis.js";
import type { FaultName } from "./nemesis.js";

export type RunOptions = {
  readonly seed: number;
  /** How long faults strike; finding each other before and healing afterwards come on top of it. */
  readonly durationMs: number;
  readonly tell: (line: string) => void;
  /** Keep the history here, as lines of JSON. */
  readonly historyFile?: string | undefined;
  /** Keep what the coordinators logged in this folder, which exists. */
  readonly logFolder?: string | undefined;
};

export type RunReport = {
  readonly seed: number;
  readonly operations: number;
  readonly acknowledgedWrites: number;
  /** Strikes of each kind. */
  readonly faults: Partial<Record<FaultName, number>>;
  readonly terms: number;
  /** Between two acknowledged writes of any client, milliseconds. */
  readonly longestGapMs: number;
  /** From the end of the last fault until every coordinator had taken a write, and until all had everything. */
  readonly takenByAllMs: number;
  readonly caughtUpMs: number;
  /** How often a member stopped taking entries for want of space, and starts that were refused for it. */
  readonly fullDisks: number;
  readonly refusedStarts: number;
  readonly snapshots: number;
  readonly comparedEntries: number;
  readonly failures: Readonly<Record<string, number>>;
};

/** What was found to be wrong; the report goes with it. */
export class RunFailure extends Error {
  override readonly name = "RunFailure";
}

const SIZE = 5;
const CLIENTS = 8;
const SNAPSHOT_ENTRIES = 400;
/** After the last fault all coordinators take writes and have everything within this. */
export const HEALS_WITHIN_MS = 20_000;
const BEGINS_WITHIN_MS = 60_000;

/** @throws RunFailure */
export async function runUnderFaults(options: RunOptions): Promise<RunReport> {
  const { seed, durationMs, tell } = options;
  const random = seededRandom(seed);
  const smallDiskOf = idsOf(SIZE)[Math.floor(random() * SIZE)] ?? "";
  const loadMs = durationMs + HEALS_WITHIN_MS;
  const clusters = clustersFor(loadMs);
  const tier = await startDistantTier({
    ...{ size: SIZE, clusters, smallDiskOf },
    snapshotEntries: SNAPSHOT_ENTRIES,
  });
  try {
    await writableOn(tier, BEGINS_WITHIN_MS, "begin");
    const clients = new Clients({ tier, count: CLIENTS, seed, durationMs: loadMs });
    const lanes = [seededRandom(seed + 1_000_003), seededRandom(seed + 2_000_003)] as const;
    const struck = await strike({ tier, randoms: lanes, durationMs, tell });
    const healedMs = performance.now();
    await writableOn(tier, HEALS_WITHIN_MS, "healed");
    const takenByAllMs = performance.now() - healedMs;
    await clients.end();
    const caughtUpMs = await allCaughtUp(tier, healedMs);
    if (options.historyFile !== undefined) writeFileSync(options.historyFile, formatHistory(clients.history));
    const problems = [
      ...tier.members.flatMap(({ troubles }) => troubles),
      ...(await lostNodes(tier, clients)),
      ...(await differingStates(tier)),
      ...linearizabilityProblems(clients, options),
    ];
    const terms = await termOf(tier);
    const codes = await Promise.all(tier.members.map((member) => member.stop()));
    if (codes.some((code) => code !== 0)) problems.push(`exit codes at the end: ${codes.join(", ")}`);
    const logs = await comparedLogs(tier.members);
    problems.push(...logs.problems);
    const fullDisks = tier.onSmallDisk.count("raft.disk_full");
    const isFilled = struck.some(({ name, toMs }) => name === "fullDisk" && toMs < durationMs);
    if (isFilled && fullDisks === 0) problems.push("a full disk kept no member from taking entries");
    const { fromMs, toMs } = clients.longestGap;
    const report: RunReport = {
      seed,
      operations: clients.history.length,
      acknowledgedWrites: clients.acknowledgedWrites,
      faults: counts(struck.map(({ name }) => name)),
      terms,
      longestGapMs: Math.round(toMs - fromMs),
      takenByAllMs: Math.round(takenByAllMs),
      caughtUpMs: Math.round(caughtUpMs),
      fullDisks,
      refusedStarts: tier.members.reduce((sum, { refusals }) => sum + refusals, 0),
      snapshots: logs.snapshots,
      comparedEntries: logs.compared,
      failures: Object.fromEntries([...clients.failures].sort()),
    };
    if (problems.length > 0) throw new RunFailure(`${problems.join("\n\n")}\n${JSON.stringify(report)}`);
    return report;
  } finally {
    const { logFolder } = options;
    if (logFolder !== undefined) {
      for (const member of tier.members) writeFileSync(join(logFolder, `${member.id}.log`), member.words());
    }
    await tier.close();
  }
}

/** Resolves when each coordinator by itself has taken a write. */
async function writableOn(tier: DistantTier, withinMs: number, word: string): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  await Promise.all(
    tier.members.map(async ({ id }) => {
      for (let attempt = 1; ; attempt++) {
        const client = tier.client([id]);
        try {
          const addr = `${word}-${id}.example:80`;
          await client.control.addNode(
            { node: { cluster: "growing", addr }, isIdempotent: true },
            { timeoutMs: 5_000 },
          );
          return;
        } catch (thrown) {
          if (performance.now() > deadlineMs) {
            throw new RunFailure(`${id} took no write within ${withinMs} ms (${word}): ${String(thrown)}`);
          }
          await delay(50);
        } finally {
          client.close();
        }
      }
    }),
  );
}

/** Resolves, with the time since, when all have applied the same and nothing more comes. */
async function allCaughtUp(tier: DistantTier, healedMs: number): Promise<number> {
  for (;;) {
    const indexes = await Promise.all(tier.members.map(({ id }) => appliedIndexOf(tier, id)));
    if (new Set(indexes).size === 1 && indexes[0] !== null) return performance.now() - healedMs;
    if (performance.now() > healedMs + HEALS_WITHIN_MS * 2)
      throw new RunFailure(`Coordinators have not caught up: ${indexes.join(", ")}`);
    await delay(100);
  }
}

async function appliedIndexOf(tier: DistantTier, id: string): Promise<bigint | null> {
  return ask(tier, id, async ({ control }) => {
    const status = await control.getStatus({}, { timeoutMs: 5_000 });
    return status.appliedIndex;
  });
}

async function termOf(tier: DistantTier): Promise<number> {
  const [first] = tier.members;
  const term = await ask(tier, first?.id ?? "", async ({ control }) => {
    const status = await control.getStatus({}, { timeoutMs: 5_000 });
    return status.term;
  });
  return Number(term ?? 0n);
}

/** Every acknowledged node is there, whoever is asked. */
async function lostNodes(tier: DistantTier, { grown }: Clients): Promise<readonly string[]> {
  const lists = await Promise.all(
    tier.members.map(async ({ id }) => {
      const nodes = await ask(tier, id, ({ control }) =>
        control.listNodes({ cluster: "growing" }, { timeoutMs: 10_000 }).then((answer) => answer.nodes),
      );
      if (nodes === null) return [`${id} does not list its nodes`];
      const there = new Set(nodes.map(({ addr }) => addr));
      const lost = [...grown].filter((addr) => !there.has(addr));
      return lost.length === 0 ? [] : [`${id} lacks acknowledged nodes: ${lost.join(", ")}`];
    }),
  );
  return lists.flat();
}

/** The state as each saves it, which is the same at the same index. */
async function differingStates(tier: DistantTier): Promise<readonly string[]> {
  const saved = await Promise.all(
    tier.members.map(async ({ id }) => ({ id, snapshot: await savedBy(tier, id) })),
  );
  const [first] = saved;
  return saved.flatMap(({ id, snapshot }) => {
    if (snapshot === null) return [`${id} saves no snapshot`];
    if (first === undefined || first.snapshot === null) return [];
    const { index, state } = first.snapshot;
    if (snapshot.index !== index) return [`${id} saved index ${snapshot.index}, ${first.id} ${index}`];
    return snapshot.state === state
      ? []
      : [`${id} and ${first.id} differ at index ${index}: ${differenceOf(snapshot.state, state)}`];
  });
}

/** A state is saved as lines. */
function differenceOf(one: string, other: string): string {
  const others = other.split("\n");
  const lines = one.split("\n");
  const at = lines.findIndex((line, number) => line !== others[number]);
  return `line ${at + 1}: ${lines[at]?.slice(0, 500)}\n${others[at]?.slice(0, 500)}`;
}

async function savedBy(
  tier: DistantTier,
  id: string,
): Promise<{ readonly index: number; readonly state: string } | null> {
  return ask(
    tier,
    id,
    async ({ control }) => {
      const chunks: Uint8Array[] = [];
      for await (const { chunk } of control.saveSnapshot({})) chunks.push(chunk);
      const decoded = decodeSnapshot(Buffer.concat(chunks));
      if (!decoded.isIntact) return null;
      return { index: decoded.header.last.index, state: Buffer.from(decoded.data).toString() };
    },
    true,
  );
}

function linearizabilityProblems(clients: Clients, { seed }: RunOptions): readonly string[] {
  const judgement = judge(clients.history, { maxSteps: 20_000_000 });
  if (judgement.kind === "linearizable") return [];
  const key = "key" in judgement ? judgement.key : "";
  const file = `/tmp/duck-history-${seed}.jsonl`;
  writeFileSync(file, formatHistory(clients.history.filter((operation) => operation.key === key)));
  return [
    `${judgement.kind}: ${JSON.stringify(judgement).slice(-2_000)}\nthe history of "${key}" is in ${file}`,
  ];
}

/** What the disks hold of one index is the same on all: nothing of it may have been overwritten. */
async function comparedLogs(members: readonly DistantMember[]): Promise<{
  readonly problems: readonly string[];
  readonly compared: number;
  readonly snapshots: number;
}> {
  const problems: string[] = [];
  const known = new Map<number, { readonly id: string; readonly text: string }>();
  let compared = 0;
  let snapshots = 0;
  for (const { id, dataDir } of members) {
    const { replay, snapshots: files } = await readDirectory(realDisk, dataDir);
    snapshots += files.length;
    if (replay.damage !== null) problems.push(`${id}: ${JSON.stringify(replay.damage)}`);
    for (const { index, term, kind, payload } of replay.entries) {
      if (index > replay.hardState.commit) continue;
      const text = `${term} ${kind} ${Buffer.from(payload).toString("base64")}`;
      const other = known.get(index);
      if (other === undefined) {
        known.set(index, { id, text });
        continue;
      }
      compared++;
      if (other.text !== text) problems.push(`${id} and ${other.id} have different entries ${index}`);
    }
  }
  return { problems, compared, snapshots };
}

/** Null when it does not answer. */
async function ask<T>(
  tier: DistantTier,
  id: string,
  question: (client: ReturnType<DistantTier["client"]>) => Promise<T>,
  isStale = false,
): Promise<T | null> {
  const client = tier.client([id], isStale);
  try {
    return await question(client);
  } catch {
    return null;
  } finally {
    client.close();
  }
}

function counts<T extends string>(names: readonly T[]): Partial<Record<T, number>> {
  const found: Partial<Record<T, number>> = {};
  for (const name of [...names].sort()) found[name] = (found[name] ?? 0) + 1;
  return found;
}
