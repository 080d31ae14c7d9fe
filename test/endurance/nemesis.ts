/** What goes wrong between and on the hosts of a tier, drawn from a seed. */
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../common/random.js";
import { FAIR } from "../support/netns.js";
import type { Weather } from "../support/netns.js";
import type { DistantMember, DistantTier } from "./distant-tier.js";

type Strike = {
  readonly tier: DistantTier;
  readonly random: Random;
  /** How long the fault should last. */
  readonly lastsMs: number;
  readonly signal: AbortSignal;
};

/** Each ends what it began, before it resolves. */
type Fault = (strike: Strike) => Promise<void>;

type Links = Weather["cuts"];

/** Between the hosts. Only one at a time, as each says what the whole network is like. */
const NETWORK = {
  /** Two and three of five: the majority goes on. */
  split: (strike) => {
    const ids = shuffled(idsIn(strike), strike.random);
    const smaller = Math.floor((ids.length - 1) / 2);
    return cut(strike, between(ids.slice(0, smaller), ids.slice(smaller)));
  },
  /** The leader with a minority. */
  splitWithLeader: async (strike) => {
    const leader = await someLeader(strike);
    const others = shuffled(
      idsIn(strike).filter((id) => id !== leader.id),
      strike.random,
    );
    const company = Math.floor(strike.random() * Math.ceil(others.length / 2));
    await cut(strike, between([leader.id, ...others.slice(0, company)], others.slice(company)));
  },
  /** No majority anywhere. */
  shatter: (strike) => {
    const ids = shuffled(idsIn(strike), strike.random);
    const groups = [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)];
    return cut(
      strike,
      groups.flatMap((group) =>
        between(
          group,
          ids.filter((id) => !group.includes(id)),
        ),
      ),
    );
  },
  /** What the leader says arrives nowhere, or nothing arrives at it. */
  halfDeadLeader: async (strike) => {
    const { id } = await someLeader(strike);
    const isMute = strike.random() < 0.5;
    const others = idsIn(strike).filter((other) => other !== id);
    await cut(
      strike,
      others.map((other): Links[number] => (isMute ? [id, other] : [other, id])),
    );
  },
  oneWay: (strike) => {
    const all = between(idsIn(strike), idsIn(strike));
    return cut(
      strike,
      all.filter(() => strike.random() < 0.25),
    );
  },
  /** A and B, B and C, but not A and C. */
  bridge: (strike) => {
    const [, ...rest] = shuffled(idsIn(strike), strike.random);
    const half = Math.floor(rest.length / 2);
    return cut(strike, between(rest.slice(0, half), rest.slice(half)));
  },
  /** The leader reaches one other only, which everybody reaches. */
  bridgeToLeader: async (strike) => {
    const leader = await someLeader(strike);
    const [, ...others] = shuffled(
      idsIn(strike).filter((id) => id !== leader.id),
      strike.random,
    );
    await cut(strike, between([leader.id], others));
  },
  loss: (strike) => become(strike, { cuts: [], lossPercent: 5 + strike.random() * 35 }),
} satisfies Record<string, Fault>;

/** On the hosts. */
const HOSTS = {
  pauseLeader: async (strike) => pause(strike, await someLeader(strike)),
  pauseAny: (strike) => pause(strike, pick(strike.tier.members, strike.random)),
  killLeader: async (strike) => kill(strike, [await someLeader(strike)]),
  /** Whoever comes up is soon killed again. */
  killStorm: async (strike) => {
    const endMs = performance.now() + strike.lastsMs;
    while (performance.now() < endMs && !strike.signal.aborted) {
      const isLeader = strike.random() < 0.5;
      const victim = isLeader ? await someLeader(strike) : pick(strike.tier.members, strike.random);
      await victim.kill();
      await wait(strike, strike.random() * 400);
      victim.launch();
      await wait(strike, strike.random() * 1_500);
    }
    await started(strike.tier.members);
  },
  /** The power of the whole site. */
  killAll: (strike) => kill({ ...strike, lastsMs: strike.lastsMs / 4 }, strike.tier.members),
  fullDisk: async (strike) => {
    const { smallDisk, onSmallDisk } = strike.tier;
    const before = onSmallDisk.count("raft.disk_full");
    smallDisk.fill();
    // Its log has room of its own, which what clients write has to use up first.
    const waitsUntilMs = performance.now() + FILLS_WITHIN_MS;
    const hasRoom = (): boolean => onSmallDisk.count("raft.disk_full") === before;
    while (hasRoom() && performance.now() < waitsUntilMs && !strike.signal.aborted) await wait(strike, 50);
    await wait(strike, strike.lastsMs);
    smallDisk.free();
  },
  /** Killed while there is no space: whether it comes up or says why not, it does so once there is some. */
  killOnFullDisk: async (strike) => {
    const { smallDisk, onSmallDisk } = strike.tier;
    smallDisk.fill();
    await wait(strike, strike.lastsMs / 2);
    await onSmallDisk.kill();
    onSmallDisk.launch();
    await wait(strike, strike.lastsMs);
    smallDisk.free();
    onSmallDisk.launch();
    await started([onSmallDisk]);
  },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof NETWORK | keyof typeof HOSTS;
export type Struck = { readonly name: FaultName; readonly fromMs: number; readonly toMs: number };

export type NemesisOptions = {
  readonly tier: DistantTier;
  /** One for each lane, so that the one's pace does not change the other's choices. */
  readonly randoms: readonly [network: Random, hosts: Random];
  readonly durationMs: number;
  readonly tell: (line: string) => void;
};

const LASTS_MS = { least: 1_000, more: 6_000 };
const STARTS_WITHIN_MS = 20_000;
const FILLS_WITHIN_MS = 25_000;
const PAUSE_MS = { least: 500, more: 4_000 };

/** Strikes until the time is over; all is well again when this resolves. */
export async function strike(options: NemesisOptions): Promise<readonly Struck[]> {
  const { tier, randoms, durationMs, tell } = options;
  const struck: Struck[] = [];
  const beganMs = performance.now();
  const signal = AbortSignal.timeout(durationMs);
  const lane = async (faults: Readonly<Record<string, Fault>>, random: Random): Promise<void> => {
    // Each fault once, in an order of the seed's, then all of them again: a short run meets many kinds.
    for (let order: string[] = []; !signal.aborted;) {
      if (order.length === 0) order = [...shuffled(Object.keys(faults).sort(), random)];
      const name = order.pop() as FaultName;
      const lastsMs = LASTS_MS.least + random() * LASTS_MS.more;
      const pauseMs = PAUSE_MS.least + random() * PAUSE_MS.more;
      const fromMs = performance.now() - beganMs;
      tell(`${(fromMs / 1000).toFixed(1)} s: ${name} for ${(lastsMs / 1000).toFixed(1)} s`);
      await faults[name]?.({ tier, random, lastsMs, signal });
      struck.push({ name, fromMs, toMs: performance.now() - beganMs });
      await sleep(pauseMs, signal);
    }
  };
  await Promise.all([lane(NETWORK, randoms[0]), lane(HOSTS, randoms[1])]);
  return struck;
}

async function cut(strike: Strike, cuts: Links): Promise<void> {
  await become(strike, { cuts, lossPercent: 0 });
}

async function become(strike: Strike, weather: Weather): Promise<void> {
  await strike.tier.network.become(weather);
  await wait(strike, strike.lastsMs);
  await strike.tier.network.become(FAIR);
}

async function pause(strike: Strike, member: DistantMember): Promise<void> {
  member.signal("SIGSTOP");
  await wait(strike, strike.lastsMs);
  member.signal("SIGCONT");
}

async function kill(strike: Strike, members: readonly DistantMember[]): Promise<void> {
  await Promise.all(members.map((member) => member.kill()));
  await wait(strike, strike.lastsMs);
  for (const member of members) member.launch();
  await started(members);
}

/** Killing those that are only just starting, again and again, says little of how a tier comes back. */
async function started(members: readonly DistantMember[]): Promise<void> {
  await Promise.all(members.map((member) => member.started(STARTS_WITHIN_MS)));
}

/** Each way between members of the one and of the other group. */
function between(some: readonly string[], others: readonly string[]): Links {
  const links = some.flatMap((from) => others.flatMap((to) => [[from, to] as const, [to, from] as const]));
  const distinct = new Map(links.map((link) => [link.join(" "), link]));
  return [...distinct.values()].filter(([from, to]) => from !== to);
}

function idsIn({ tier }: Strike): readonly string[] {
  return tier.members.map(({ id }) => id);
}

/** Anybody, where nobody leads. */
async function someLeader({ tier, random }: Strike): Promise<DistantMember> {
  const other = pick(tier.members, random);
  return (await tier.leader()) ?? other;
}

function pick<T>(from: readonly T[], random: Random): T {
  return from[Math.floor(random() * from.length)] as T;
}

function shuffled<T>(from: readonly T[], random: Random): readonly T[] {
  return from
    .map((value) => ({ value, at: random() }))
    .sort((left, right) => left.at - right.at)
    .map(({ value }) => value);
}

function wait({ signal }: Strike, ms: number): Promise<void> {
  return sleep(ms, signal);
}

/** Ends early, without an error, when `signal` aborts. */
async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
