/**
 * Our tier of three beside etcd's: how long one committed write takes, how many a second, and how long nobody
 * takes writes after a leader was killed or told to stop. Both are processes on loopback and the same disk,
 * called through the same gRPC library, in turns: `node --import tsx bench/raft.ts [--seconds 5] [--trials 10]
 * [--rounds 2] [--json]`. Needs `etcd` (Debian: etcd-server).
 */
import { RaftTier } from "../test/support/raft-tier.js";
import { buildProgram } from "./support/build-member.js";
import { EtcdTier } from "./support/etcd-tier.js";
import { loadAverage, usageOfAll } from "./support/process-usage.js";
import { median, percentile, readOptions, rounded, textTable } from "./support/figures.js";

const { numbers, isJson } = readOptions(process.argv.slice(2), { seconds: 5, trials: 10, rounds: 2 });
const VALUE = "x".repeat(256);
const DEFAULT_TIMING = { heartbeatMs: 100, electionMs: 1_000 };
const FAST_TIMING = { heartbeatMs: 10, electionMs: 100 };
/** Between two attempts at the first write after a fault, and how long one may take. */
const PROBE_EVERY_MS = 2;
const PROBE_TIMEOUT_MS = 300;

type Timing = typeof DEFAULT_TIMING;
type Target = { put(key: string, value: string, timeoutMs?: number): Promise<unknown> };
type Member = Target & {
  readonly pid: number | null;
  readonly isRunning: boolean;
  kill(name: "SIGKILL" | "SIGTERM"): Promise<void>;
  start(): void | Promise<void>;
};
type Tier = { readonly members: readonly Member[]; leader(): Promise<Member>; close(): Promise<void> };
type Subject = { readonly name: string; readonly start: (timing: Timing) => Promise<Tier> };

const program = await buildProgram("test/support/raft-member-program.ts");
const SUBJECTS: readonly Subject[] = [
  {
    name: "clusterduck",
    start: (timing) => RaftTier.start({ size: 3, snapshotEntries: 10_000, program: [program], ...timing }),
  },
  { name: "etcd", start: (timing) => EtcdTier.start(timing) },
];

const figures = new Map<string, Map<string, number[]>>();

await measureLoad();
await measureInside();
for (const [name, timing] of [
  ["default timing", DEFAULT_TIMING],
  ["10/100 ms", FAST_TIMING],
] as const) {
  await measureFailover(`SIGKILL to next write, ${name}, ms`, "SIGKILL", timing);
}
await measureFailover("SIGTERM to next write, default timing, ms", "SIGTERM", DEFAULT_TIMING);
report();

async function measureLoad(): Promise<void> {
  const tiers = await Promise.all(
    SUBJECTS.map(async ({ name, start }) => ({ name, tier: await start(DEFAULT_TIMING) })),
  );
  // Programs of both kinds, and their client, take a while until they run as fast as they can.
  for (const { tier } of tiers) {
    for (const clients of [512, 1, 1]) await load(await tier.leader(), clients);
  }
  for (let round = 0; round < numbers.rounds; round++) {
    for (const clients of [1, 64, 512]) {
      for (const { name, tier } of tiers) {
        const cpuBeforeMs = cpuMsOf(tier);
        const { rate, latenciesMs, writes } = await load(await tier.leader(), clients);
        note(`${clients} clients, writes/s`, name, rate);
        note(`${clients} clients, p50 ms`, name, median(latenciesMs));
        note(`${clients} clients, p99 ms`, name, percentile(latenciesMs, 0.99));
        // Other work on the machine hardly changes this one.
        note(
          `${clients} clients, CPU of the members, µs/write`,
          name,
          ((cpuMsOf(tier) - cpuBeforeMs) / writes) * 1_000,
        );
      }
    }
  }
  for (const { tier } of tiers) await tier.close();
}

/**
 * As our own decisions are written: by callers inside a coordinator's process, the leader's or another's that passes
 * them on over the members' gRPC stream. etcd's clients have the unary call only, which costs client and server
 * more than the write itself.
 */
async function measureInside(): Promise<void> {
  const tier = await RaftTier.start({ size: 3, snapshotEntries: 10_000, program: [program] });
  const leader = await tier.leader();
  const follower = tier.members.find((member) => member !== leader) ?? leader;
  const places = [
    ["the leader", leader],
    ["a follower", follower],
  ] as const;
  const valueBytes = VALUE.length;
  for (const [, member] of places) await member.load({ callers: 64, seconds: 3, valueBytes });
  for (let round = 0; round < numbers.rounds; round++) {
    for (const callers of [1, 64, 512]) {
      for (const [place, member] of places) {
        const { seconds } = numbers;
        const { writes, latenciesMs } = await member.load({ callers, seconds, valueBytes });
        note(`${callers} callers inside ${place}, writes/s`, "clusterduck", writes / seconds);
        note(`${callers} callers inside ${place}, p50 ms`, "clusterduck", median(latenciesMs));
      }
    }
  }
  await tier.close();
}

function cpuMsOf(tier: Tier): number {
  return usageOfAll(tier.members.flatMap(({ pid }) => pid ?? [])).cpuMs;
}

type Measured = { readonly rate: number; readonly latenciesMs: readonly number[]; readonly writes: number };

async function load(target: Target, clients: number): Promise<Measured> {
  let writes = 0;
  const latenciesMs: number[] = [];
  const warmUpMs = 500;
  const beganAtMs = performance.now();
  const endsAtMs = beganAtMs + warmUpMs + numbers.seconds * 1_000;
  const client = async (id: number): Promise<void> => {
    for (let turn = 0; performance.now() < endsAtMs; turn++) {
      const startedAtMs = performance.now();
      await target.put(`key-${id}-${turn % 100}`, VALUE, 10_000);
      writes++;
      if (startedAtMs - beganAtMs > warmUpMs) latenciesMs.push(performance.now() - startedAtMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, id) => client(id)));
  return { rate: latenciesMs.length / numbers.seconds, latenciesMs, writes };
}

async function measureFailover(what: string, signal: "SIGKILL" | "SIGTERM", timing: Timing): Promise<void> {
  const tiers = await Promise.all(
    SUBJECTS.map(async ({ name, start }) => ({ name, tier: await start(timing) })),
  );
  for (let trial = 0; trial < numbers.trials; trial++) {
    for (const { name, tier } of tiers) note(what, name, await failover(tier, signal));
  }
  for (const { tier } of tiers) await tier.close();
}

/** Milliseconds from the signal to the first write that was asked for after it and is accepted, by any member. */
async function failover(tier: Tier, signal: "SIGKILL" | "SIGTERM"): Promise<number> {
  const leader = await tier.leader();
  const others = tier.members.filter((member) => member !== leader && member.isRunning);
  await leader.put("before", VALUE, 10_000);
  // All members answer, and have seen the leader for a while: the timer of each is somewhere.
  for (const other of others) await other.put("before", VALUE, 10_000);
  await sleep(Math.random() * 300);
  const beganAtMs = performance.now();
  const gone = leader.kill(signal);
  const tookMs = await Promise.any(others.map((other) => firstWrite(other, beganAtMs)));
  await gone;
  await leader.start();
  await sleep(1_500);
  return tookMs;
}

async function firstWrite(target: Target, beganAtMs: number): Promise<number> {
  let isOver = false;
  return new Promise((resolve) => {
    const probe = async (): Promise<void> => {
      while (!isOver) {
        // Not one after the other: a write that was asked too early may hang until its own timeout.
        void target.put("probe", VALUE, PROBE_TIMEOUT_MS).then(
          () => {
            isOver = true;
            resolve(performance.now() - beganAtMs);
          },
          () => undefined,
        );
        await sleep(PROBE_EVERY_MS * 5);
      }
    };
    void probe();
  });
}

function note(what: string, subject: string, value: number): void {
  const bySubject = figures.get(what) ?? new Map<string, number[]>();
  figures.set(what, bySubject);
  bySubject.set(subject, [...(bySubject.get(subject) ?? []), value]);
  if (!isJson) process.stderr.write(`${what}: ${subject} ${rounded(value)}\n`);
}

function report(): void {
  if (isJson) {
    const plain = Object.fromEntries(
      [...figures].map(([what, values]) => [what, Object.fromEntries(values)]),
    );
    process.stdout.write(`${JSON.stringify(plain, null, 2)}\n`);
    return;
  }
  const rows = [...figures].map(([what, values]) => [
    what,
    ...SUBJECTS.map(({ name }) => {
      const all = values.get(name);
      if (all === undefined) return "";
      return `${rounded(median(all))} (${rounded(Math.min(...all))} to ${rounded(Math.max(...all))})`;
    }),
  ]);
  process.stdout.write(`Load average ${loadAverage()}\n`);
  process.stdout.write(textTable(["median (least to most)", ...SUBJECTS.map(({ name }) => name)], rows));
}

function sleep(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
