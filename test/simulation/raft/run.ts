import type { Random } from "../../../common/random.js";
import { seededRandom } from "../../../common/random.js";
import { judge } from "../../support/linearizability/checker.js";
import { formatHistory } from "../../support/linearizability/history.js";
import { burst, FAULT_NAMES, pairs, pick, strikeUntil } from "./faults.js";
import type { FaultName } from "./faults.js";
import { Tier } from "./tier.js";
import { must, Violation } from "./violation.js";

export type Mode = "safety" | "liveness";

/** What one seed has shown. */
export type Report = {
  readonly operations: number;
  readonly acknowledged: number;
  readonly committed: number;
  readonly terms: number;
};

/** A seed that broke a rule, with all that is needed to look into it. */
export class SimulationFailure extends Error {
  override readonly name = "SimulationFailure";
  readonly mode: Mode;
  readonly seed: number;
  readonly rule: string;

  constructor(mode: Mode, seed: number, cause: unknown, tier: Tier) {
    const rule = cause instanceof Violation ? cause.rule : "no error";
    const text = cause instanceof Error ? cause.message : String(cause);
    super(
      `${text}\nseed ${seed}, after ${tier.timeline.nowMs.toFixed(1)} ms\n` +
        `replay: SEED=${seed} node --import tsx --test test/simulation/raft/${mode}.test.ts\n` +
        `${tier.describe()}\nthe latest events:\n${tier.trace.lines().join("\n")}`,
      { cause },
    );
    this.mode = mode;
    this.seed = seed;
    this.rule = rule;
  }
}

/** Election timeouts: of the time under faults, and for everything to be well again afterwards. */
const FAULTY_ELECTIONS = 30;
const RECOVERY_ELECTIONS = 60;
/** Within this an operation must succeed as long as a quorum is connected. */
const PROGRESS_ELECTIONS = 30;
/** Faults that the liveness mode begins with. */
const SHORT_FAULTS: readonly FaultName[] = [
  "split",
  "crash",
  "pause",
  "transfer",
  "snapshot",
  "crashLeaderSoon",
];

/** @throws SimulationFailure */
export function run(mode: Mode, seed: number, echo?: (line: string) => void): Report {
  const tier = makeTier(mode, seed, echo);
  try {
    if (mode === "safety") runSafety(tier);
    else runLiveness(tier);
    mustBeLinearizable(tier);
  } catch (thrown) {
    throw new SimulationFailure(mode, seed, thrown, tier);
  }
  const { history, acknowledged, observer } = tier;
  return { operations: history.length, acknowledged, committed: observer.commit, terms: observer.terms };
}

/** Everything at once, then peace: whatever happened, nothing that was promised is broken, and all recover. */
function runSafety(tier: Tier): void {
  const { random, network, electionMs } = tier;
  const some = FAULT_NAMES.filter(() => random() < 0.4);
  const names = some.length === 0 ? FAULT_NAMES : some;
  network.duplicateRate = random() < 0.5 ? 0 : random() * 0.2;
  network.isReordering = random() < 0.4;
  network.maxDelayMs = 1 + random() ** 3 * electionMs * 0.4;
  tier.startClients(1 + Math.floor(random() * 4), electionMs * (0.05 + random() * 0.3));
  strikeUntil(tier, names, electionMs * (0.3 + random() * 3), electionMs * FAULTY_ELECTIONS);
  tier.run(electionMs * FAULTY_ELECTIONS);
  network.maxDelayMs = 2;
  // Whoever is about to crash does so.
  tier.run(20);
  tier.heal();
  for (const client of tier.clients) client.stop();
  tier.runUntil(() => tier.isSettled(), electionMs * RECOVERY_ELECTIONS, "all members recover");
  mustBeEqual(tier);
}

/** Faults that stay, but leave a quorum connected: operations must go on. */
function runLiveness(tier: Tier): void {
  const { random, electionMs } = tier;
  tier.startClients(2, electionMs * 0.2);
  strikeUntil(tier, SHORT_FAULTS, electionMs, electionMs * 10);
  tier.run(electionMs * (10 + random() * 4));
  const quorum = strikeForGood(tier, random() < 0.7 ? divide(tier) : pick(random, tier.ids));
  for (const client of tier.clients) client.stop();
  const probes = tier.clients.length;
  tier.startClients(1, electionMs * 0.1, () => quorum);
  const probe = tier.clients[probes];
  for (let count = 1; count <= 5; count++) {
    const before = probe?.acknowledged ?? 0;
    tier.runUntil(
      () => (probe?.acknowledged ?? 0) > before,
      electionMs * PROGRESS_ELECTIONS,
      "a connected quorum makes progress",
      () => `operation ${count}, quorum ${quorum.join()}: ${tier.describe()}`,
    );
  }
  probe?.stop();
  tier.run(electionMs * 4);
  for (const { id, isLeader, core } of tier.members.values()) {
    const isStuck = (core?.status().writeTicks ?? 0) > tier.config.electionTicks;
    must(!(isLeader && isStuck), "a leader whose disk hangs steps down", () => `${id} still leads`);
  }
}

/**
 * Two leaders in a row with logs that differ: the first is cut off with commands that nobody else gets.
 * @returns the second, or whoever leads.
 */
function divide(tier: Tier): string {
  const { random, network, electionMs } = tier;
  tier.heal();
  const before = tier.leader();
  if (before?.core == null) return pick(random, tier.ids);
  for (const [from, to] of pairs([before.id], tier.ids)) network.cut(from, to);
  burst(tier);
  const untilMs = tier.timeline.nowMs + electionMs * 4;
  while (tier.leader() === before && tier.timeline.nowMs < untilMs) tier.run(0.5);
  tier.run(random() ** 3 * electionMs);
  return tier.leader()?.id ?? before.id;
}

/** @param last is likely to be left out. @returns a quorum whose members are well and reach each other; whatever else is broken, they must go on. */
function strikeForGood(tier: Tier, last: string): readonly string[] {
  const { random, network } = tier;
  tier.heal();
  const isLast = (id: string): boolean => id === last;
  const order = shuffled(random, tier.ids);
  const ids = random() < 0.6 ? [...order.filter((id) => !isLast(id)), ...order.filter(isLast)] : order;
  const size = Math.floor(ids.length / 2) + 1;
  const quorum = ids.slice(0, size).sort();
  const note: string[] = [];
  const leader = tier.leader();
  if (random() < 0.3)
    leader?.ask("transfers", (core) => core.transferLeadership(pick(random, ids.slice(size))));
  for (const id of ids.slice(size)) {
    const member = tier.member(id);
    const fault = pick(random, [
      "down",
      "paused",
      "hung",
      "full",
      "away",
      "oneWay",
      "bridge",
      "deaf",
      "mute",
      "none",
    ] as const);
    note.push(`${id} ${fault}`);
    const links = pairs([id], tier.ids);
    const bridge = pick(random, quorum);
    switch (fault) {
      case "down":
        member.crash();
        break;
      case "paused":
        member.pause();
        break;
      case "hung":
      case "full":
        member.disk.become(fault);
        break;
      case "away":
        for (const [from, to] of links) network.cut(from, to);
        break;
      case "oneWay":
        for (const [from, to] of links) if (random() < 0.5) network.cut(from, to);
        break;
      case "bridge":
        for (const [from, to] of links) if (from !== bridge && to !== bridge) network.cut(from, to);
        break;
      case "deaf":
        for (const [from, to] of links) if (to === id) network.cut(from, to);
        break;
      case "mute":
        for (const [from, to] of links) if (from === id) network.cut(from, to);
        break;
      case "none":
        break;
    }
  }
  network.dropRate = random() < 0.5 ? 0 : random() * 0.15;
  network.isReordering = random() < 0.3;
  tier.trace.add(tier.timeline.nowMs, "fault", `for good: ${note.join(", ")}`, { quorum });
  return quorum;
}

function makeTier(mode: Mode, seed: number, echo?: (line: string) => void): Tier {
  const random = seededRandom(seed * 7919 + (mode === "safety" ? 0 : 1));
  const chance = random();
  const members =
    mode === "liveness"
      ? chance < 0.6
        ? 3
        : 5
      : chance < 0.05
        ? 1
        : chance < 0.1
          ? 2
          : chance < 0.65
            ? 3
            : chance < 0.75
              ? 4
              : 5;
  return new Tier({
    seed,
    members,
    tickMs: 10,
    clockSkew: random() * 0.2,
    lazyMs: random() < 0.5 ? 0 : random() * 5,
    snapshotEntries: random() < 0.3 ? 1_000 : 5 + Math.floor(random() * 60),
    catchUpTicks: pick(random, [1, 5, 1_000]),
    config: {
      heartbeatTicks: 1 + Math.floor(random() * 2),
      electionTicks: 8 + Math.floor(random() * 8),
      maxAppendBytes: pick(random, [1, 200, 1024 * 1024]),
      maxInflightMessages: pick(random, [1, 4, 64]),
      maxUncommittedBytes: pick(random, [1_000, 1024 * 1024]),
      maxCommittedBytes: pick(random, [1, 1024 * 1024]),
    },
    ...(echo === undefined ? {} : { echo }),
  });
}

function mustBeEqual(tier: Tier): void {
  const leader = tier.leader();
  const ids = leader?.core?.membership.map(({ id }) => id) ?? [];
  const digests = ids
    .map((id) => tier.member(id))
    .filter(({ disk }) => !disk.isDamaged)
    .map(({ id, machine }) => ({ id, digest: machine.digest() }));
  for (const { id, digest } of digests) {
    must(
      digest === digests[0]?.digest,
      "all members are equal in the end",
      () => `${id} differs from ${digests[0]?.id}`,
    );
  }
}

function mustBeLinearizable(tier: Tier): void {
  for (const client of tier.clients) client.end();
  const judgement = judge(tier.history);
  if (judgement.kind === "linearizable") return;
  // A history that nobody has judged proves nothing.
  if (judgement.kind === "tooHard") {
    const { key, steps } = judgement;
    throw new Violation("the history can be judged", `key ${key}: no answer after ${steps} steps`);
  }
  const { key, stuckAt, order } = judgement;
  throw new Violation(
    "the history is linearizable",
    `key ${key}; no order holds ${formatHistory([stuckAt])}after\n${formatHistory(order.slice(-8))}`,
  );
}

function shuffled<T>(random: Random, items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
