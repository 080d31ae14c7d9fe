/** How fast changes are made durable: `node --import tsx bench/log.ts [DIRECTORY]`. The directory says which disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { systemClock } from "../common/clock.js";
import { silentLogger } from "../common/logger.js";
import type { ReplicatedLog } from "../coordinator/log/replicated-log.js";
import { openSingleMemberLog } from "../coordinator/log/single-member-log.js";
import { openReplica } from "../coordinator/replica-over-log.js";
import type { Command } from "../coordinator/state/commands.js";

const ENTRY_BYTES = 256;
const DURATION_MS = 2_000;
const parent = process.argv[2] ?? tmpdir();

const shared = { clock: systemClock, logger: silentLogger };

await inDirectory(async (dir) => {
  const log = await openSingleMemberLog({ ...shared, dir, memberId: "bench" });
  const payload = new Uint8Array(ENTRY_BYTES).fill(120);
  for (const callers of [1, 64, 512]) {
    await measure(`log.propose, ${callers} at once`, callers, () => log.propose(payload));
    await dropEntries(log);
  }
  await log.close();
});

await inDirectory(async (dir) => {
  const log = await openSingleMemberLog({ ...shared, dir, memberId: "bench" });
  const onFailure = (error: unknown): never => {
    throw error;
  };
  const replica = await openReplica({ ...shared, log, snapshotEntries: 10_000, onFailure });
  let at = 0;
  for (const callers of [1, 64, 512]) {
    await measure(`replica.propose, ${callers} at once`, callers, () =>
      replica.propose(agentFound(at++ % 100), "bench"),
    );
  }
  await replica.close();
  await log.close();
});

// Taken in turns, so that a busy moment of the disk meets both.
for (const batch of [1, 64, 100]) {
  await inDirectory(async (dir) => {
    const level = new ClassicLevel<string, Uint8Array>(join(dir, "level"), { valueEncoding: "view" });
    await level.open();
    const log = await openSingleMemberLog({ ...shared, dir: join(dir, "log"), memberId: "bench" });
    const payload = new Uint8Array(ENTRY_BYTES).fill(120);
    let key = 0;
    const writeToLevel = async (): Promise<void> => {
      const chained = level.batch();
      for (let each = 0; each < batch; each++) chained.put(String(key++).padStart(12, "0"), payload);
      await chained.write({ sync: true });
    };
    const writeToLog = async (): Promise<void> => {
      await Promise.all(Array.from({ length: batch }, () => log.propose(payload)));
    };
    for (let round = 0; round < 2; round++) {
      await measure(`classic-level, synced batches of ${batch}`, 1, writeToLevel, batch);
      await measure(`log, batches of ${batch}`, 1, writeToLog, batch);
    }
    await log.close();
    await level.close();
  });
}

async function measure(
  name: string,
  callers: number,
  work: () => Promise<unknown>,
  entriesEach = 1,
): Promise<void> {
  const latenciesMs: number[] = [];
  const startedAtMs = performance.now();
  const caller = async (): Promise<void> => {
    while (performance.now() - startedAtMs < DURATION_MS) {
      const beganAtMs = performance.now();
      await work();
      latenciesMs.push(performance.now() - beganAtMs);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const seconds = (performance.now() - startedAtMs) / 1_000;
  latenciesMs.sort((a, b) => a - b);
  const quantile = (share: number): string =>
    (latenciesMs[Math.floor(latenciesMs.length * share)] ?? Number.NaN).toFixed(2);
  const rate = Math.round((latenciesMs.length * entriesEach) / seconds);
  console.log(
    `${name.padEnd(40)} ${String(rate).padStart(8)} entries/s  p50 ${quantile(0.5)} ms  p99 ${quantile(0.99)} ms`,
  );
}

async function dropEntries(log: ReplicatedLog): Promise<void> {
  const { term } = log.leadership();
  await log.saveSnapshot({ last: { index: log.status().commitIndex, term }, data: new Uint8Array(1) });
}

function agentFound(at: number): Command {
  const id = `agent-${at}`;
  const agent = { id, bootId: "b", host: id, zone: "z1", labels: {}, version: "1.0.0", proxies: [] };
  return { type: "agentFound", agent };
}

async function inDirectory(work: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(parent, "duck-bench-"));
  try {
    await work(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
