/** A log of one member, on a disk whose plug is pulled at random moments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../common/clock.js";
import { systemClock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import { silentLogger } from "../../common/logger.js";
import { seededRandom } from "../../common/random.js";
import type { Random } from "../../common/random.js";
import type { LogEntry, ReplicatedLog } from "../../coordinator/log/replicated-log.js";
import { openSingleMemberLog } from "../../coordinator/log/single-member-log.js";
import type { Disk } from "../../coordinator/log/storage/disk.js";
import { SimulatedDisk } from "../support/simulated-disk.js";

const SEEDS = Number(process.env["SEEDS"] ?? "60");
const FIRST_SEED = Number(process.env["SEED"] ?? "1");
const CRASHES_PER_SEED = 8;

/** What the world outside knows of the log. */
type Witness = {
  readonly proposed: Set<string>;
  /** By index, what was acknowledged. */
  readonly acknowledged: Map<number, string>;
  /** Highest index that a snapshot was acknowledged for. */
  snapshotIndex: number;
};

test("after any crash every acknowledged entry is there, whole, and nothing that was not proposed", async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      await simulate(seed);
    } catch (thrown) {
      throw new Error(
        `replay: SEED=${seed} SEEDS=1 node --import tsx --test test/simulation/log-crash.test.ts`,
        { cause: thrown },
      );
    }
  }
});

test("the simulation notices a log that acknowledges before its sync", async () => {
  const withoutSync = (disk: Disk): Disk => ({
    ...disk,
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      return {
        ...file,
        writeDurably: (bytes, position) => file.write(bytes, position),
        sync: async () => undefined,
      };
    },
  });

  const outcomes = await Promise.allSettled(
    Array.from({ length: 10 }, (_, at) => simulate(at + 1, withoutSync)),
  );

  assert.ok(outcomes.some(({ status }) => status === "rejected"));
});

async function simulate(seed: number, wrap: (disk: Disk) => Disk = (disk) => disk): Promise<void> {
  const random = seededRandom(seed);
  const disk = new SimulatedDisk({ random });
  const witness: Witness = { proposed: new Set(), acknowledged: new Map(), snapshotIndex: 0 };
  for (let round = 0; round < CRASHES_PER_SEED; round++) {
    // Some crashes come while the log is being opened.
    const operations = Math.floor(random() ** 2 * 120);
    const crashed = new Promise<void>((resolve) => disk.crashAfter(operations, resolve));
    const life = new AbortController();
    const working = work(
      { disk: wrap(disk.attach()), clock: clockOf(life.signal) },
      random,
      witness,
      `${round}`,
    );
    await Promise.race([crashed, working]);
    life.abort();
    if (random() < 0.3) disk.kill();
    else disk.crash();
    const log = await open({ disk: disk.attach(), clock: systemClock });
    await check(log, witness);
    await log.close();
  }
}

/** Proposes from several callers at once, and takes snapshots, until the plug is pulled. */
async function work(machine: Machine, random: Random, witness: Witness, round: string): Promise<void> {
  const log = await open(machine);
  const callers = Array.from({ length: 4 }, async (_, caller) => {
    for (let step = 0; step < 40; step++) {
      const text = `${round}:${caller}:${step}:${"x".repeat(Math.floor(random() ** 3 * 2500))}`;
      witness.proposed.add(text);
      const { index } = await log.propose(new TextEncoder().encode(text));
      witness.acknowledged.set(index, text);
      if (random() < 0.03) await snapshot(log, index, witness);
    }
  });
  await Promise.all(callers);
  await log.close();
}

async function snapshot(log: ReplicatedLog, index: number, witness: Witness): Promise<void> {
  const { term } = log.leadership();
  try {
    await log.saveSnapshot({ last: { index, term }, data: new TextEncoder().encode(`up to ${index}`) });
    witness.snapshotIndex = Math.max(witness.snapshotIndex, index);
  } catch (thrown) {
    // Another caller's was newer.
    assert.ok(thrown instanceof ClusterduckError && thrown.code === "CONFLICT", String(thrown));
  }
}

async function check(log: ReplicatedLog, witness: Witness): Promise<void> {
  const saved = await log.loadSnapshot();
  const base = saved?.last.index ?? 0;
  if (saved !== null) assert.equal(new TextDecoder().decode(saved.data), `up to ${base}`);
  assert.ok(
    base >= witness.snapshotIndex,
    `snapshot ${witness.snapshotIndex} was acknowledged, ${base} is there`,
  );
  const entries = new Map<number, string>();
  let term = 0;
  for (const entry of await committed(log, base)) {
    assert.equal(entry.index, base + entries.size + 1, "no hole");
    assert.ok(entry.term >= term, "terms do not go back");
    term = entry.term;
    entries.set(entry.index, new TextDecoder().decode(entry.payload));
  }
  for (const [index, text] of witness.acknowledged) {
    if (index > base) assert.equal(entries.get(index), text, `acknowledged entry ${index}`);
  }
  for (const text of entries.values()) {
    assert.ok(text === "" || witness.proposed.has(text), `"${text.slice(0, 40)}" was never proposed whole`);
  }
}

async function committed(log: ReplicatedLog, afterIndex: number): Promise<readonly LogEntry[]> {
  const abort = new AbortController();
  const { commitIndex } = log.status();
  const entries: LogEntry[] = [];
  for await (const entry of log.entries(afterIndex, abort.signal)) {
    entries.push(entry);
    if (entry.index === commitIndex) abort.abort();
  }
  return entries;
}

type Machine = { readonly disk: Disk; readonly clock: Clock };

/** The clock of a process that ends with `life`: no timer of it fires afterwards. */
function clockOf(life: AbortSignal): Clock {
  return {
    ...systemClock,
    after: (durationMs, callback) => {
      const cancel = systemClock.after(durationMs, () => {
        life.removeEventListener("abort", cancel);
        callback();
      });
      life.addEventListener("abort", cancel, { once: true });
      return cancel;
    },
  };
}

function open({ disk, clock }: Machine): Promise<ReplicatedLog> {
  return openSingleMemberLog({
    dir: "/log",
    memberId: "c1",
    clock,
    logger: silentLogger,
    disk,
    segmentBytes: 16 * 1024,
    reserveBytes: 0,
  });
}
