import assert from "node:assert/strict";
import type { RaftConfig } from "../../../coordinator/raft/config.js";
import type { RaftCore } from "../../../coordinator/raft/core.js";
import type { Membership } from "../../../coordinator/raft/membership.js";
import type { Message } from "../../../coordinator/raft/message.js";
import { TierMember } from "./member.js";

export type TierOptions = {
  readonly voters: readonly string[];
  readonly learners?: readonly string[];
  readonly config?: Partial<RaftConfig>;
};

/** So many answers to answers are a conversation without an end. */
const MAX_ROUNDS = 1000;

/**
 * Members and the network between them, under the hand of a test: nothing is delivered and no time passes
 * unless it says so. Messages between two members that are cut off from each other are lost.
 */
export class Tier {
  readonly #options: TierOptions;
  readonly #members = new Map<string, TierMember>();
  readonly #cuts = new Set<string>();
  #queue: Message[] = [];

  constructor(options: TierOptions) {
    this.#options = options;
    for (const { id } of this.founders) this.start(id, this.founders);
  }

  get founders(): Membership {
    const { voters, learners = [] } = this.#options;
    return [
      ...voters.map((id) => ({ id, role: "voter" as const, address: "" })),
      ...learners.map((id) => ({ id, role: "learner" as const, address: "" })),
    ];
  }

  get members(): readonly TierMember[] {
    return [...this.#members.values()];
  }

  get queue(): readonly Message[] {
    return this.#queue;
  }

  /** Starts another member; without `membership` it waits to be added. The first one is the least patient. */
  start(id: string, membership: Membership = []): TierMember {
    const member = new TierMember({
      id,
      membership,
      patience: Math.min(0.9, this.#members.size * 0.2),
      config: this.#options.config ?? {},
      send: (message) => this.#queue.push(message),
    });
    this.#members.set(id, member);
    member.run();
    return member;
  }

  member(id: string): TierMember {
    const member = this.#members.get(id);
    assert(member !== undefined, `There is no member "${id}"`);
    return member;
  }

  core(id: string): RaftCore {
    return this.member(id).core;
  }

  /** Calls into a core, then does what that wants. */
  at<Result>(id: string, call: (core: RaftCore) => Result): Result {
    const member = this.member(id);
    const result = call(member.core);
    member.run();
    return result;
  }

  /** Time passes for members that are up, evenly. */
  tick(ids: readonly string[], ticks = 1): void {
    for (let count = 0; count < ticks; count++) {
      for (const id of ids) if (!this.member(id).isDown) this.at(id, (core) => core.tick());
    }
  }

  /** Time passes for all, and every message arrives at once. */
  pass(ticks: number): void {
    for (let count = 0; count < ticks; count++) {
      this.tick(this.members.map((member) => member.id));
      this.settle();
    }
  }

  /** Delivers the messages that are under way now and wanted, and returns them. */
  deliver(isWanted: (message: Message) => boolean = () => true): readonly Message[] {
    const wanted = this.#queue.filter(isWanted);
    this.#queue = this.#queue.filter((message) => !isWanted(message));
    return wanted.filter((message) => this.give(message));
  }

  /** Delivers until nothing is under way; returns all. */
  settle(): readonly Message[] {
    const delivered: Message[] = [];
    for (let rounds = 0; this.#queue.length > 0; rounds++) {
      assert(rounds < MAX_ROUNDS, "The members talk without an end");
      delivered.push(...this.deliver());
    }
    return delivered;
  }

  /** Hands a message over as if it had just arrived, also a made-up or an old one. Returns whether it did. */
  give(message: Message): boolean {
    const hasArrived =
      !this.#cuts.has(`${message.from} ${message.to}`) && this.#members.get(message.to)?.isDown === false;
    if (hasArrived) this.at(message.to, (core) => core.step(message));
    this.#end(message, hasArrived);
    return hasArrived;
  }

  /** Loses messages that are under way. */
  drop(isLost: (message: Message) => boolean = () => true): readonly Message[] {
    const lost = this.#queue.filter(isLost);
    this.#queue = this.#queue.filter((message) => !isLost(message));
    for (const message of lost) this.#end(message, false);
    return lost;
  }

  /** Restarts a member with this on its disk: `terms` are those of its entries, from the first on. */
  given(id: string, term: number, terms: readonly number[], vote: string | null = null): void {
    const { disk } = this.member(id);
    disk.hardState = { term, vote, commit: 0 };
    disk.entries = terms.map((entryTerm, at) => ({
      index: at + 1,
      term: entryTerm,
      kind: "command",
      payload: new TextEncoder().encode(`of ${entryTerm}`),
    }));
    this.restart(id);
  }

  /** Terms of a member's entries, from the first on; those that a snapshot replaced are missing. */
  terms(id: string): readonly number[] {
    const { base, last } = this.core(id);
    const count = last.index - base.index;
    return Array.from({ length: count }, (_, at) => this.core(id).termAt(base.index + at + 1) ?? 0);
  }

  /** What was sent last arrives first. */
  reverse(): void {
    this.#queue.reverse();
  }

  /** Campaigns and delivers until all is quiet. */
  elect(id: string): void {
    this.at(id, (core) => core.campaign());
    this.settle();
    assert.equal(this.core(id).role, "leader", `"${id}" was not elected`);
  }

  propose(id: string, ...texts: readonly string[]): ReturnType<RaftCore["propose"]> {
    return this.at(id, (core) => core.propose(texts.map((text) => new TextEncoder().encode(text))));
  }

  cut(one: string, other: string): void {
    this.#cuts.add(`${one} ${other}`).add(`${other} ${one}`);
  }

  /** Cuts a member off from all others. */
  isolate(id: string): void {
    for (const other of this.#members.keys()) if (other !== id) this.cut(id, other);
  }

  heal(): void {
    this.#cuts.clear();
  }

  crash(id: string): void {
    this.member(id).crash();
  }

  restart(id: string): void {
    this.member(id).restart();
    this.member(id).run();
  }

  /** Whoever sent a snapshot learns whether it arrived. */
  #end(message: Message, hasArrived: boolean): void {
    if (message.kind !== "installSnapshot" || !this.#members.has(message.from)) return;
    const sender = this.member(message.from);
    if (!sender.isDown) this.at(message.from, (core) => core.reportSnapshot(message.to, hasArrived));
  }
}
