import { foundingEntry, voterIds } from "../../../coordinator/raft/membership.js";
import type { Membership } from "../../../coordinator/raft/membership.js";
import { RAFT_DEFAULTS } from "../../../coordinator/raft/config.js";
import type { RaftConfig } from "../../../coordinator/raft/config.js";
import { seededRandom } from "../../../common/random.js";
import type { Random } from "../../../common/random.js";
import type { Operation } from "../../support/linearizability/history.js";
import { Timeline } from "../health/timeline.js";
import { carry } from "./carry.js";
import { Client } from "./client.js";
import type { Service } from "./client.js";
import { found, Member } from "./member.js";
import { Network } from "./network.js";
import { Observer } from "./observer.js";
import { Trace } from "./trace.js";
import { Violation } from "./violation.js";

export type TierOptions = {
  readonly seed: number;
  /** Founding voters. */
  readonly members: number;
  readonly config?: Partial<Omit<RaftConfig, "id" | "random">>;
  /** Milliseconds of one tick; each member's clock is up to `clockSkew` (a share) faster or slower. */
  readonly tickMs?: number;
  readonly clockSkew?: number;
  readonly lazyMs?: number;
  readonly snapshotEntries?: number;
  readonly catchUpTicks?: number;
  /** Gets every event as it happens. */
  readonly echo?: (line: string) => void;
};

const KEYS = ["r1", "r2", "l1"];

/** A whole tier in virtual time: members, what lies between them, clients, and somebody who watches. */
export class Tier {
  readonly timeline = new Timeline();
  readonly random: Random;
  readonly trace: Trace;
  readonly network: Network;
  readonly observer: Observer;
  readonly members = new Map<string, Member>();
  readonly clients: Client[] = [];
  readonly history: Operation[] = [];
  readonly options: TierOptions;
  readonly config: Omit<RaftConfig, "id" | "random">;
  readonly tickMs: number;

  constructor(options: TierOptions) {
    this.options = options;
    this.random = seededRandom(options.seed);
    this.trace = new Trace(options.echo);
    this.config = { ...RAFT_DEFAULTS, heartbeatTicks: 2, electionTicks: 10, ...options.config };
    this.tickMs = options.tickMs ?? 10;
    this.network = new Network({
      timeline: this.timeline,
      random: this.random,
      carry,
      deliver: (message, attachment) => this.members.get(message.to)?.receive(message, attachment),
    });
    this.observer = new Observer((id) => this.members.get(id));
    const membership: Membership = Array.from({ length: options.members }, (_, at) => ({
      id: `m${at + 1}`,
      role: "voter" as const,
      address: `m${at + 1}:7400`,
    }));
    const entries = [foundingEntry(membership)];
    this.observer.founded(entries);
    for (const { id } of membership) found(this.add(id).disk, entries);
    for (const member of this.members.values()) member.start();
  }

  /** The shortest election timeout; faults and bounds are measured in it. */
  get electionMs(): number {
    return this.config.electionTicks * this.tickMs;
  }

  get ids(): readonly string[] {
    return [...this.members.keys()].sort();
  }

  member(id: string): Member {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`There is no member "${id}"`);
    return member;
  }

  /** Makes a member with an empty disk that is not started. */
  add(id: string): Member {
    const { clockSkew = 0.05, lazyMs = 0, snapshotEntries = 50, catchUpTicks = 5 } = this.options;
    const { timeline, random, network, observer, trace, config } = this;
    const tickMs = this.tickMs * (1 + (random() * 2 - 1) * clockSkew);
    const member = new Member({
      id,
      config,
      timeline,
      random,
      network,
      observer,
      trace,
      tickMs,
      lazyMs,
      snapshotEntries,
      catchUpTicks,
      onCrash: (crashed) => this.#tellOfEnd(crashed),
    });
    this.members.set(id, member);
    return member;
  }

  /** The connections of a process end with it: most of those who had one see that soon. */
  #tellOfEnd(id: string): void {
    for (const other of this.members.values()) {
      if (other.id === id || !this.network.isOpen(id, other.id) || this.random() < 0.2) continue;
      this.timeline.in(this.random() * 5, () => other.disconnected(id));
    }
  }

  /** Whoever leads in the highest term; it may not know yet that it ceased to. */
  leader(): Member | undefined {
    const leaders = [...this.members.values()].filter((member) => member.isLeader);
    return leaders.sort((a, b) => (b.core?.term ?? 0) - (a.core?.term ?? 0))[0];
  }

  run(durationMs: number): this {
    this.timeline.runUntil(this.timeline.nowMs + durationMs);
    return this;
  }

  /** Runs until it holds. @throws Violation of `rule` when it does not within the time. */
  runUntil(
    isTrue: () => boolean,
    limitMs: number,
    rule: string,
    describe: () => string = () => this.describe(),
  ): this {
    const untilMs = this.timeline.nowMs + limitMs;
    while (!isTrue()) {
      if (this.timeline.nowMs >= untilMs)
        throw new Violation(rule, `not within ${limitMs} ms: ${describe()}`);
      this.run(this.tickMs / 2);
    }
    return this;
  }

  /** Adds clients that talk to these members, or to all. */
  startClients(count: number, thinkMs: number, memberIds: () => readonly string[] = () => this.ids): void {
    for (let at = 0; at < count; at++) {
      const client = new Client({
        id: `c${this.clients.length + 1}`,
        timeline: this.timeline,
        random: this.random,
        service: this.#service(memberIds),
        history: this.history,
        keys: KEYS,
        thinkMs,
        attemptMs: this.electionMs * 4,
        operationMs: this.electionMs * 25,
      });
      this.clients.push(client);
      client.start();
    }
  }

  /** Operations that were acknowledged to clients. */
  get acknowledged(): number {
    return this.clients.reduce((sum, client) => sum + client.acknowledged, 0);
  }

  /** Ends every fault that can end, and starts who is down. */
  heal(): void {
    const { network } = this;
    network.heal();
    network.dropRate = network.duplicateRate = network.stragglerRate = 0;
    for (const member of this.members.values()) {
      member.disk.become("works");
      member.resume();
      member.start();
    }
  }

  /** Whether there is a leader, and whoever belongs to the tier and can run has what the leader has. */
  isSettled(): boolean {
    const leader = this.leader();
    if (leader?.core == null || leader.core.commit !== leader.core.last.index) return false;
    const { membership, commit } = leader.core;
    return (
      voterIds(membership).includes(leader.id) &&
      membership.every(({ id }) => {
        const member = this.members.get(id);
        if (member === undefined || member.disk.isDamaged) return true;
        return member.machine.appliedIndex === commit && member.core?.term === leader.core?.term;
      })
    );
  }

  describe(): string {
    return [...this.members.values()]
      .map(({ id, core, machine, disk, isPaused }) =>
        core === null
          ? `${id} down${disk.isDamaged ? ", damaged" : ""}`
          : `${id} ${core.role}${isPaused ? ", paused" : ""} term ${core.term} last ${core.last.index} commit ${core.commit} applied ${machine.appliedIndex} disk ${disk.mode}`,
      )
      .join("; ");
  }

  #service(memberIds: () => readonly string[]): Service {
    const later = (run: () => void): void => this.timeline.in(this.random() * 2, run);
    return {
      memberIds,
      submit: (id, command, answer) =>
        later(() => this.members.get(id)?.submit(command, (attempt) => later(() => answer(attempt)))),
      read: (id, key, answer) =>
        later(() => this.members.get(id)?.read(key, (attempt) => later(() => answer(attempt)))),
    };
  }
}
