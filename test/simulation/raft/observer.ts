import { findMember, voterIds } from "../../../coordinator/raft/membership.js";
import type { Entry, Position } from "../../../coordinator/raft/entry.js";
import type { Membership } from "../../../coordinator/raft/membership.js";
import type { Message } from "../../../coordinator/raft/message.js";
import type { Role, Write } from "../../../coordinator/raft/ready.js";
import type { MemberDisk } from "./disk.js";
import { must } from "./violation.js";

/** What can be seen of a running core from outside. */
export interface CoreView {
  readonly term: number;
  readonly role: Role;
  readonly commit: number;
  readonly last: Position;
  /** What the first entry in memory follows. */
  readonly base: Position;
  entry(index: number): Entry | undefined;
  /** Null where the log does not reach. */
  termAt(index: number): number | null;
  readonly membership: Membership;
}

/** One member as the observer knows it; `core` is null while it is down. */
export interface Observed {
  readonly id: string;
  readonly disk: MemberDisk;
  readonly core: CoreView | null;
}

type Known = { term: number; commit: number; role: Role };
/** `inTerm`: of the leader that decided it, which may be later than the entry's own. */
type Committed = { readonly term: number; readonly text: string; readonly inTerm: number };

const DECODER = new TextDecoder();

/**
 * Sees all members at once, after every step, and knows what Raft promises: each rule that does not hold
 * is a `Violation`. Its memory outlives the members' crashes.
 */
export class Observer {
  readonly #member: (id: string) => Observed | undefined;
  readonly #leaders = new Map<number, string>();
  /** Durable votes by term and voter. */
  readonly #votes = new Map<string, string>();
  /** By index and term: the content of every entry that was ever about to be written. */
  readonly #entries = new Map<string, { readonly text: string; readonly previousTerm: number | null }>();
  /** By index; [0] is before all entries. */
  readonly #committed: Committed[] = [{ term: 0, text: "", inTerm: 0 }];
  readonly #known = new WeakMap<CoreView, Known>();

  constructor(member: (id: string) => Observed | undefined) {
    this.#member = member;
  }

  /** Highest index that any member has told its runner to be committed. */
  get commit(): number {
    return this.#committed.length - 1;
  }

  get terms(): number {
    return Math.max(0, ...this.#leaders.keys());
  }

  leaderOf(term: number): string | undefined {
    return this.#leaders.get(term);
  }

  /** Entries that a new tier begins with, committed from the beginning. */
  founded(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#register(entry, this.#committed.at(-1)?.term ?? 0);
      this.#committed.push({ term: entry.term, text: textOf(entry), inTerm: entry.term });
    }
  }

  /** Call it after every call into a core. */
  stepped(member: Observed): void {
    const { core, id } = member;
    if (core === null) return;
    const known = this.#known.get(core) ?? { term: 0, commit: 0, role: "follower" };
    must(core.term >= known.term, "term never goes back", () => `${id}: ${known.term} → ${core.term}`);
    must(
      core.commit >= known.commit,
      "commit never goes back",
      () => `${id}: ${known.commit} → ${core.commit}`,
    );
    must(
      core.commit <= core.last.index,
      "commit is within the log",
      () => `${id}: ${core.commit} > ${core.last.index}`,
    );
    const isNewLeader = core.role === "leader" && (known.role !== "leader" || known.term !== core.term);
    if (isNewLeader) this.#elected(member, core);
    if (core.commit > known.commit) this.#advanced(member, core, known);
    known.term = core.term;
    known.commit = core.commit;
    known.role = core.role;
    this.#known.set(core, known);
  }

  /** A write is about to begin: every entry passes here before anybody else can have it. */
  writing(member: Observed, write: Write): void {
    const { core, id, disk } = member;
    if (write.truncateAfter !== undefined) this.#truncating(member, write.truncateAfter);
    let previous = core === null ? null : core.termAt((write.entries[0]?.index ?? 1) - 1);
    for (const entry of write.entries) {
      this.#register(entry, previous);
      previous = entry.term;
      if (entry.kind === "members" && core !== null) this.#changing(member, core, entry);
    }
    const hardState = write.hardState;
    if (hardState === undefined) return;
    const before = disk.hardState;
    must(
      hardState.term >= before.term,
      "durable term never goes back",
      () => `${id}: ${before.term} → ${hardState.term}`,
    );
    const isOtherVote =
      hardState.term === before.term && before.vote !== null && before.vote !== hardState.vote;
    must(
      !isOtherVote,
      "one vote per term",
      () => `${id}, term ${hardState.term}: ${before.vote} → ${hardState.vote}`,
    );
  }

  /** Call it whenever a disk has changed. */
  persisted({ id, disk }: Observed): void {
    const { term, vote } = disk.hardState;
    if (vote === null) return;
    const name = `${term} ${id}`;
    const before = this.#votes.get(name);
    must(
      before === undefined || before === vote,
      "one vote per term",
      () => `${id}, term ${term}: ${before} and ${vote}`,
    );
    this.#votes.set(name, vote);
  }

  /** A message leaves its sender. */
  sending(member: Observed, message: Message): void {
    const { disk, id } = member;
    if (message.kind === "voteReply" && message.isGranted) {
      const { term, vote } = disk.hardState;
      const isKept = term > message.term || (term === message.term && vote === message.to);
      must(
        isKept,
        "a vote leaves after it is durable",
        () => `${id} for ${message.to} in term ${message.term}; on disk: ${vote} in ${term}`,
      );
    }
    if (message.kind === "appendReply" && message.isAccepted)
      this.#acknowledging(member, message.term, message.to, message.match);
    if (message.kind === "append" || message.kind === "heartbeat" || message.kind === "timeoutNow") {
      const leader = this.#leaders.get(message.term);
      must(
        leader === id,
        "only the leader of a term speaks for it",
        () => `${id} sends ${message.kind} in term ${message.term} of ${leader}`,
      );
    }
  }

  /** An entry reaches a state machine. */
  applying(member: Observed, entry: Entry, afterIndex: number): void {
    must(
      entry.index === afterIndex + 1,
      "applied without a hole",
      () => `${member.id}: ${entry.index} after ${afterIndex}`,
    );
    must(
      member.disk.holds(entry),
      "applied entries are durable here",
      () =>
        `${member.id} applies ${entry.index} of term ${entry.term}; on disk: ${JSON.stringify(member.disk.last)}`,
    );
    this.#mustBeCommitted(member.id, entry, "state machine safety");
  }

  /** A member's read was confirmed; `commitBefore` is `commit` as of when it was asked. */
  reading(id: string, index: number, commitBefore: number): void {
    must(
      index >= commitBefore,
      "a read sees what was committed before",
      () => `${id}: index ${index}, but ${commitBefore} was committed`,
    );
  }

  /** By the time of the write another entry may be committed in the place, but never the one on the disk. */
  #truncating({ id, disk }: Observed, after: number): void {
    for (let index = after + 1; index <= Math.min(this.commit, disk.last.index); index++) {
      const isCommitted = disk.termAt(index) === this.#committed[index]?.term;
      must(
        !isCommitted,
        "truncation is above commit",
        () => `${id} voids entry ${index}, which is committed`,
      );
    }
  }

  #elected(member: Observed, core: CoreView): void {
    const { id } = member;
    const { term } = core;
    const other = this.#leaders.get(term);
    must(
      other === undefined || other === id,
      "one leader per term",
      () => `term ${term}: ${other} and ${id}`,
    );
    this.#leaders.set(term, id);
    const voters = voterIds(core.membership);
    const votes = voters.filter((voter) => this.#votes.get(`${term} ${voter}`) === id);
    must(
      votes.length * 2 > voters.length,
      "elected by durable votes of a quorum",
      () => `${id} in term ${term}: ${votes.join()} of ${voters.join()}`,
    );
    for (let index = core.base.index; index < this.#committed.length; index++) {
      const committed = this.#committed[index];
      // A late winner need not have what a later leader has decided since.
      if (committed === undefined || committed.inTerm >= term) break;
      must(
        core.termAt(index) === committed.term,
        "leader completeness",
        () => `${id} in term ${term} has ${core.termAt(index)} at ${index}, committed: ${committed.term}`,
      );
    }
  }

  #advanced(member: Observed, core: CoreView, known: Known): void {
    const { id } = member;
    const base = this.#committed[core.base.index];
    must(
      base?.term === core.base.term,
      "committed entries are equal",
      () => `${id} begins after ${JSON.stringify(core.base)}; committed: term ${base?.term}`,
    );
    // One that commits its own removal steps down in the same moment.
    const isDeciding = core.role === "leader" || (known.role === "leader" && known.term === core.term);
    const inTerm = core.role === "leader" ? core.term : known.term;
    if (isDeciding && core.commit >= this.#committed.length) this.#mustBeOnQuorum(id, core);
    for (let index = Math.max(known.commit, core.base.index) + 1; index <= core.commit; index++) {
      const entry = core.entry(index);
      must(entry !== undefined, "commit is within the log", () => `${id} has no entry ${index}`);
      if (index === this.#committed.length) {
        must(
          isDeciding,
          "only a leader decides what is committed",
          () => `${id} commits ${index} as ${core.role}`,
        );
        this.#committed.push({ term: entry.term, text: textOf(entry), inTerm });
      } else this.#mustBeCommitted(id, entry, "committed entries are equal");
    }
  }

  /** What a leader counts as committed. */
  #mustBeOnQuorum(id: string, core: CoreView): void {
    const position = { index: core.commit, term: core.termAt(core.commit) ?? -1 };
    must(
      position.term === core.term,
      "only entries of the own term commit by counting",
      () => `${id} in term ${core.term} commits entry ${position.index} of term ${position.term}`,
    );
    const voters = voterIds(core.membership);
    const holders = voters.filter((voter) => this.#member(voter)?.disk.holds(position) === true);
    must(
      holders.length * 2 > voters.length,
      "committed entries are durable on a quorum",
      () => `${id} commits ${position.index}: on ${holders.join()} of ${voters.join()}`,
    );
  }

  #mustBeCommitted(id: string, entry: Entry, rule: string): void {
    const committed = this.#committed[entry.index];
    const isSame = committed?.term === entry.term && committed.text === textOf(entry);
    must(
      isSame,
      rule,
      () =>
        `${id} has ${entry.index} of term ${entry.term}: "${textOf(entry)}"; committed: ${JSON.stringify(committed)}`,
    );
  }

  /** Log matching: an index and a term name one entry, after one other. By induction logs agree before it. */
  #register(entry: Entry, previousTerm: number | null): void {
    const name = `${entry.index} ${entry.term}`;
    const text = textOf(entry);
    const before = this.#entries.get(name);
    const isSame =
      before === undefined ||
      (before.text === text &&
        (before.previousTerm ?? previousTerm) === (previousTerm ?? before.previousTerm));
    must(
      isSame,
      "log matching",
      () =>
        `entry ${entry.index} of term ${entry.term}: "${before?.text}" after ${before?.previousTerm}, "${text}" after ${previousTerm}`,
    );
    if (before === undefined) this.#entries.set(name, { text, previousTerm });
  }

  #acknowledging({ id, disk }: Observed, term: number, leaderId: string, match: number): void {
    const diskTerm = Math.max(disk.hardState.term, disk.last.term);
    must(
      diskTerm >= term,
      "an acknowledgement leaves after it is durable",
      () => `${id} in term ${term}; on disk: ${diskTerm}`,
    );
    const leader = this.#member(leaderId)?.core;
    if (leader === null || leader === undefined || leader.term !== term || leader.role !== "leader") return;
    // Once it has learned of a later term, a later leader may have replaced what it acknowledges.
    if (diskTerm > term) return;
    const position = { index: match, term: leader.termAt(match) ?? -1 };
    const isThere = position.term === -1 ? disk.last.index >= match : disk.holds(position);
    must(
      isThere,
      "an acknowledgement leaves after it is durable",
      () =>
        `${id} acknowledges ${match} of term ${position.term} to ${leaderId}; on disk: ${JSON.stringify(disk.last)}`,
    );
  }

  #changing({ id }: Observed, core: CoreView, entry: Entry): void {
    if (core.role !== "leader" || entry.term !== core.term) return;
    const after = JSON.parse(DECODER.decode(entry.payload)) as Membership;
    for (let index = entry.index - 1; index > core.commit; index--) {
      must(
        core.entry(index)?.kind !== "members",
        "one membership change at a time",
        () => `${id}: ${index} is not committed, ${entry.index} follows`,
      );
    }
    const first = this.#firstOfTerm(core);
    must(
      core.commit >= first,
      "membership changes after an entry of the own term",
      () => `${id}: commit ${core.commit}, own term begins at ${first}`,
    );
    const before = this.#membershipBefore(core, entry.index);
    if (before === null) return;
    const isVoterIn = (members: Membership, member: string): boolean =>
      findMember(members, member)?.role === "voter";
    const changed = [...new Set([...voterIds(before), ...voterIds(after)])].filter(
      (each) => isVoterIn(before, each) !== isVoterIn(after, each),
    );
    must(
      changed.length <= 1,
      "one voter more or less",
      () => `${id}: ${voterIds(before).join()} → ${voterIds(after).join()}`,
    );
  }

  #firstOfTerm(core: CoreView): number {
    let index = core.last.index;
    while (index > core.base.index && core.termAt(index - 1) === core.term) index--;
    return index;
  }

  #membershipBefore(core: CoreView, index: number): Membership | null {
    for (let at = index - 1; at > core.base.index; at--) {
      const entry = core.entry(at);
      if (entry?.kind === "members") return JSON.parse(DECODER.decode(entry.payload)) as Membership;
    }
    return null;
  }
}

function textOf(entry: Entry): string {
  return `${entry.kind} ${DECODER.decode(entry.payload)}`;
}
