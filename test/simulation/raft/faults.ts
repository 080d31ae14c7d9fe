import { voterIds } from "../../../coordinator/raft/membership.js";
import type { MembershipChange } from "../../../coordinator/raft/membership.js";
import type { Random } from "../../../common/random.js";
import { encodeCommand } from "./machine.js";
import type { Member } from "./member.js";
import type { Tier } from "./tier.js";

export type FaultName = keyof typeof FAULTS;

/** Members beyond this are not added. */
const MAX_MEMBERS = 8;

/** What can go wrong, and what operators do meanwhile. Each strikes once; what it began it ends by itself. */
export const FAULTS = {
  split: (tier: Tier) => {
    const some = tier.ids.filter(() => tier.random() < 0.5);
    const others = tier.ids.filter((id) => !some.includes(id));
    cutFor(tier, pairs(some, others));
  },
  isolateLeader: (tier: Tier) => {
    const id = tier.leader()?.id ?? pick(tier.random, tier.ids);
    const others = tier.ids.filter((other) => other !== id);
    const way = tier.random();
    cutFor(
      tier,
      pairs([id], others).filter(([from]) => way < 0.6 || (way < 0.8 ? from === id : from !== id)),
    );
    if (tier.random() < 0.7) burst(tier);
  },
  burst: (tier: Tier) => burst(tier),
  /** Two halves that only one member connects. */
  bridge: (tier: Tier) => {
    const bridge = pick(tier.random, tier.ids);
    const rest = tier.ids.filter((id) => id !== bridge);
    const left = rest.filter((_, at) => at % 2 === 0);
    const right = rest.filter((_, at) => at % 2 === 1);
    cutFor(tier, pairs(left, right));
  },
  oneWay: (tier: Tier) => {
    const links = pairs(tier.ids, tier.ids).filter(() => tier.random() < 0.25);
    cutFor(tier, links);
  },
  loss: (tier: Tier) => {
    tier.network.dropRate = tier.random() * 0.4;
    after(tier, 8, () => (tier.network.dropRate = 0));
  },
  stragglers: (tier: Tier) => {
    tier.network.stragglerRate = tier.random() * 0.1;
    after(tier, 8, () => (tier.network.stragglerRate = 0));
  },
  crash: (tier: Tier) => {
    const member = victim(tier);
    member?.crash();
    after(tier, 6, () => member?.start());
  },
  /** The power of the whole site. */
  crashAll: (tier: Tier) => {
    for (const member of tier.members.values()) {
      member.crash();
      after(tier, 3, () => member.start());
    }
  },
  /** In the moment after something was sent. */
  crashLeaderSoon: (tier: Tier) => {
    const member = tier.leader();
    tier.timeline.in(tier.random() * 10, () => member?.crash());
    after(tier, 6, () => member?.start());
  },
  /** Connections end although nobody does: a firewall's reset, a certificate that is exchanged. */
  disconnect: (tier: Tier) => {
    const id = tier.random() < 0.7 ? (tier.leader()?.id ?? "") : pick(tier.random, tier.ids);
    const share = tier.random();
    for (const member of tier.members.values()) {
      if (member.id === id || tier.random() > share) continue;
      tier.timeline.in(tier.random() * 5, () => member.disconnected(id));
    }
  },
  pause: (tier: Tier) => {
    const member = victim(tier);
    member?.pause();
    after(tier, 6, () => member?.resume());
  },
  slowDisk: (tier: Tier) => diskFor(tier, "slow"),
  hungDisk: (tier: Tier) => diskFor(tier, "hung"),
  fullDisk: (tier: Tier) => diskFor(tier, "full"),
  /** A write fails: the process ends, for nobody knows what is on the disk. */
  failedWrite: (tier: Tier) => {
    const member = victim(tier);
    member?.disk.become("hung");
    tier.timeline.in(5, () => {
      member?.crash();
      member?.disk.become("works");
    });
    after(tier, 6, () => member?.start());
  },
  snapshot: (tier: Tier) => {
    tier.members.get(pick(tier.random, tier.ids))?.snapshot();
  },
  transfer: (tier: Tier) => {
    const leader = tier.leader();
    const to = tier.random() < 0.3 ? undefined : pick(tier.random, tier.ids);
    leader?.ask("transfers", (core) => core.transferLeadership(to));
  },
  membership: (tier: Tier) => {
    if (hasDamage(tier)) return;
    const change = chooseChange(tier);
    if (change !== null) propose(tier, change);
  },
  /** One bit: the member refuses to start, and the operator puts another in its place. */
  bitFlip: (tier: Tier) => {
    const member = pick(tier.random, [...tier.members.values()]);
    if (hasDamage(tier) || !isRoomForDamage(tier)) return;
    member.crash();
    member.disk.isDamaged = true;
    tier.trace.add(tier.timeline.nowMs, member.id, "is damaged");
    replace(tier, member.id);
  },
} satisfies Record<string, (tier: Tier) => void>;

export const FAULT_NAMES = Object.keys(FAULTS).sort() as readonly FaultName[];

/** Strikes now and then with one of the named faults, until the given time. */
export function strikeUntil(
  tier: Tier,
  names: readonly FaultName[],
  meanPauseMs: number,
  untilMs: number,
): void {
  tier.timeline.in(tier.random() * 2 * meanPauseMs, () => {
    if (tier.timeline.nowMs >= untilMs) return;
    const name = pick(tier.random, names);
    tier.trace.add(tier.timeline.nowMs, "fault", name);
    FAULTS[name](tier);
    strikeUntil(tier, names, meanPauseMs, untilMs);
  });
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** Each way between members of the one and of the other group. */
export function pairs(
  some: readonly string[],
  others: readonly string[],
): readonly (readonly [string, string])[] {
  const links = some.flatMap((from) => others.flatMap((to) => [`${from} ${to}`, `${to} ${from}`]));
  return [...new Set(links)]
    .map((link) => link.split(" ") as [string, string])
    .filter(([from, to]) => from !== to);
}

/** Whoever believes to lead gets some commands at once, which need not reach anybody else. */
export function burst(tier: Tier): void {
  const count = 1 + Math.floor(tier.random() * 8);
  for (const member of tier.members.values()) {
    if (!member.isLeader) continue;
    const payloads = Array.from({ length: count }, (_, at) => {
      const client = `burst ${member.id} ${tier.timeline.nowMs}`;
      return encodeCommand({ client, sequence: at + 1, key: "burst", op: "write", value: `${at}` });
    });
    member.ask(`is given ${count} commands`, (core) => core.propose(payloads));
  }
}

function cutFor(tier: Tier, links: readonly (readonly [string, string])[]): void {
  for (const [from, to] of links) tier.network.cut(from, to);
  after(tier, 8, () => {
    for (const [from, to] of links) tier.network.mend(from, to);
  });
}

/** Up to so many election timeouts later. */
function after(tier: Tier, elections: number, run: () => void): void {
  tier.timeline.in(tier.random() ** 2 * elections * tier.electionMs, run);
}

function diskFor(tier: Tier, mode: "slow" | "hung" | "full"): void {
  const disk = victim(tier)?.disk;
  disk?.become(mode);
  after(tier, 8, () => disk?.become("works"));
}

/** The leader more often than others. */
function victim(tier: Tier): Member | undefined {
  return tier.random() < 0.4 ? tier.leader() : tier.members.get(pick(tier.random, tier.ids));
}

function propose(tier: Tier, change: MembershipChange): void {
  if (change.kind === "add") (tier.members.get(change.id) ?? tier.add(change.id)).start();
  tier.leader()?.ask(`proposes ${JSON.stringify(change)}`, (core) => core.proposeMembership(change));
}

function chooseChange(tier: Tier): MembershipChange | null {
  const { random } = tier;
  const membership = tier.leader()?.core?.membership;
  if (membership === undefined || membership.length === 0) return null;
  const { id, role } = pick(random, membership);
  const chance = random();
  if (chance < 0.35) {
    // A removed member may come back with all that it remembers.
    const removed = tier.ids.filter((each) => !membership.some((member) => member.id === each));
    if (removed.length > 0 && random() < 0.5) return addition(pick(random, removed));
    return tier.members.size < MAX_MEMBERS ? addition(`m${tier.members.size + 1}`) : null;
  }
  const learner = membership.find((member) => member.role === "learner");
  if (chance < 0.65 && learner !== undefined) return { kind: "promote", id: learner.id };
  if (chance < 0.75) return role === "voter" ? { kind: "demote", id } : null;
  if (chance < 0.95) return { kind: "remove", id };
  return { kind: "move", id, address: `${id}:${Math.floor(random() * 1000)}` };
}

function addition(id: string): MembershipChange {
  return { kind: "add", id, address: `${id}:7400` };
}

function hasDamage(tier: Tier): boolean {
  return [...tier.members.values()].some(({ disk }) => disk.isDamaged);
}

/** Everybody knows the same three voters or more, so that a quorum of any membership is left. */
function isRoomForDamage(tier: Tier): boolean {
  const known = [...tier.members.values()].map(({ core }) => core?.membership);
  const texts = new Set(known.map((membership) => JSON.stringify(membership)));
  return texts.size === 1 && voterIds(known[0] ?? []).length >= 3;
}

/** What an operator does about a member that will not come back: step by step, as often as it takes. */
function replace(tier: Tier, id: string): void {
  const fresh = `m${tier.members.size + 1}`;
  const turn = (): void => {
    const membership = tier.leader()?.core?.membership ?? [];
    const role = membership.find((member) => member.id === fresh)?.role;
    const isOld = membership.some((member) => member.id === id);
    if (membership.length > 0) {
      if (isOld) propose(tier, { kind: "remove", id });
      else if (role === undefined) propose(tier, addition(fresh));
      else if (role === "learner") propose(tier, { kind: "promote", id: fresh });
      else return;
    }
    tier.timeline.in(tier.electionMs / 2, turn);
  };
  turn();
}
