import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import type { Mode } from "./run.js";

/**
 * A bug of some implementation, put into ours as a replacement of text. `from` must stand in one file
 * of coordinator/raft, once: where the core has changed, the mutant must be written anew.
 */
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const CORE = "coordinator/raft";
/** The core shares it with those who speak of majorities. */
const MAJORITY = "common/majority.ts";

export type Mutant = {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** What has to notice it. `scenarios`: too rare for chance, so the scenario of the same name must. */
  readonly mode: Mode | "scenarios";
};

/** A source file of the core, by its path from the root, with a mutant in it. */
export type MutatedSource = { readonly file: string; readonly text: string };

/** Null when the text to replace is not there exactly once: the core has changed, and the mutant must too. */
export function mutate({ from, to }: Mutant): MutatedSource | null {
  const core = readdirSync(join(ROOT, CORE)).filter((file) => file.endsWith(".ts"));
  const sources = [...core.map((file) => join(CORE, file)), MAJORITY].map((file) => ({
    file,
    text: readFileSync(join(ROOT, file), "utf8"),
  }));
  const [place, ...others] = sources.filter(({ text }) => text.includes(from));
  if (place === undefined || others.length > 0 || place.text.split(from).length !== 2) return null;
  return { file: place.file, text: place.text.replace(from, () => to) };
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "nodedb-161: a vote's reply leaves before the vote is saved",
    from: `self.promise(from, { kind: "voteReply", isGranted: true });`,
    to: `self.send(from, { kind: "voteReply", isGranted: true });`,
    mode: "safety",
  },
  {
    name: "nodedb-161: a vote is never saved",
    from: `? {} : { hardState }),`,
    to: `? {} : { hardState: { ...hardState, vote: null } }),`,
    mode: "safety",
  },
  {
    name: "robustmq-2039: a vote is forgotten by a restart",
    from: `this.#vote = this.#term === hardState.term ? hardState.vote : null;`,
    to: `this.#vote = null;`,
    mode: "safety",
  },
  {
    name: "databend-16175: a refused vote counts as granted",
    from: `if (this.#state.name === "candidate") this.#onTally(this.#state.election.record(voter, isGranted));`,
    to: `if (this.#state.name === "candidate") this.#onTally(this.#state.election.record(voter, true));`,
    mode: "safety",
  },
  {
    name: "tikv-9579: half of the voters pass for a quorum",
    from: `return Math.floor(voters / 2) + 1;`,
    to: `return Math.ceil(voters / 2);`,
    mode: "safety",
  },
  {
    name: "nuraft-185: OR in the up-to-date check elects a stale candidate",
    from: `candidate.term === own.term ? candidate.index >= own.index : candidate.term > own.term`,
    to: `candidate.term >= own.term || candidate.index >= own.index`,
    mode: "safety",
  },
  {
    name: "openraft-1796: AND in the up-to-date check lets long and late logs block each other",
    from: `candidate.term === own.term ? candidate.index >= own.index : candidate.term > own.term`,
    to: `candidate.term >= own.term && candidate.index >= own.index`,
    mode: "liveness",
  },
  {
    name: "logcabin-44: entries of earlier terms commit by counting (figure 8)",
    from: `if (index > log.commit && log.termAt(index) === term) log.commitTo(index);`,
    to: `if (index > log.commit) log.commitTo(index);`,
    mode: "safety",
  },
  {
    name: "redisraft-18: no entry opens a term",
    from: `    this.#append("noop", [NO_PAYLOAD]);`,
    to: ``,
    mode: "safety",
  },
  {
    name: "etcd-14370: the leader counts what its own disk does not have yet",
    from: `voter === id ? durability.persisted :`,
    to: `voter === id ? this.#self.log.last.index + 0 * durability.persisted :`,
    mode: "safety",
  },
  {
    name: "etcd-1690: a late report marks overwritten entries durable",
    from: `if (this.#inFlight !== null) this.#inFlight.last = Math.min(this.#inFlight.last, index);`,
    to: ``,
    mode: "safety",
  },
  {
    name: "etcd-14370: an acknowledgement leaves before its entries are saved",
    from: `self.promise(leader, { kind: "appendReply", isAccepted: true, match });`,
    to: `self.send(leader, { kind: "appendReply", isAccepted: true, match });`,
    mode: "safety",
  },
  {
    name: "scylladb-9965: a follower commits a tail that nobody has verified",
    from: `log.commitTo(Math.min(append.commit, match));`,
    to: `log.commitTo(Math.min(append.commit, log.last.index));`,
    mode: "scenarios",
  },
  {
    name: "ra-508: a follower acknowledges a tail that nobody has verified",
    from: `const match = previous.index + entries.length;`,
    to: `const match = log.last.index;`,
    mode: "scenarios",
  },
  {
    name: "ccf-5674: an old append cuts off what a quorum holds",
    from: `    if (known === -1) return;`,
    to: `    if (known === -1) {
      const end = previous.index + entries.length;
      if (end < this.last.index) this.#truncateAfter(end);
      return;
    }`,
    mode: "safety",
  },
  {
    name: "camunda-6092: an old snapshot takes the newer suffix with it",
    from: `if (log.has(last)) log.commitTo(last.index);
    else log.restore({ last, membership });`,
    to: `log.restore({ last, membership });`,
    mode: "scenarios",
  },
  {
    name: "d-engine-381: a read is answered before a quorum has confirmed the leader",
    from: `(voter) => voter === id || (this.#peers.get(voter)?.answeredRound ?? 0) >= round,`,
    to: `(voter) => voter === id || (this.#peers.get(voter)?.answeredRound ?? 0) >= round - round,`,
    mode: "safety",
  },
  {
    name: "redisraft-18: a new leader answers reads before it has committed anything",
    from: `if (this.#reads.isRoundDue && this.#self.hasCommittedInTerm) {`,
    to: `if (this.#reads.isRoundDue) {`,
    mode: "safety",
  },
  {
    name: "hydro-3192: two membership changes at once",
    from: `  if (log.history.currentIndex > log.commit) return { isAccepted: false, reason: "changeInProgress" };`,
    to: ``,
    mode: "safety",
  },
  {
    name: "raft-dev 2015: a membership change before the term has committed anything",
    from: `  if (!self.hasCommittedInTerm) return { isAccepted: false, reason: "termNotCommitted" };`,
    to: ``,
    mode: "safety",
  },
  {
    name: "etcd-12359: a member whose removal is not committed does not campaign",
    from: `isVoter || voterIds(log.markAt(log.commit).membership).includes(id);`,
    to: `isVoter;`,
    mode: "scenarios",
  },
  {
    name: "openraft-2080: a leader that hears no quorum goes on",
    from: `    if (!this.#replication.hasQuorum) return false;`,
    to: ``,
    mode: "liveness",
  },
  {
    name: "hashicorp-raft-503: a leader whose disk hangs goes on",
    from: `if (this.#self.isDiskStalled || !this.#state.leader.tick())`,
    to: `if (!this.#state.leader.tick())`,
    mode: "liveness",
  },
  {
    name: "hashicorp-raft-503: a follower whose disk hangs counts as there",
    from: `      if (self.isDiskStalled) return;`,
    to: ``,
    mode: "scenarios",
  },
  {
    name: "hashicorp-raft-696: an interrupted transfer is never given up",
    from: `    if (this.#transfer.ageTicks >= this.#self.config.electionTicks) this.#transfer = null;`,
    to: ``,
    mode: "liveness",
  },
  {
    name: "etcd-8243: questions of a lower term get no answer",
    from: `const candidate = { askedTerm: term, last, isLeaderHeard: roles.isLeaderHeard };`,
    to: `if (term < self.term) return;
  const candidate = { askedTerm: term, last, isLeaderHeard: roles.isLeaderHeard };`,
    mode: "scenarios",
  },
  {
    name: "nebula-2419: a repeated question of the same candidate is refused",
    from: `voter.leaderId === null : voter.vote === candidate.id;`,
    to: `voter.leaderId === null : false;`,
    mode: "scenarios",
  },
  {
    name: "dragonboat-256: a member that knows no tier gives votes",
    from: `return this.membership.length > 0;`,
    to: `return this.membership.length >= 0;`,
    mode: "scenarios",
  },
];
