/**
 * From reports to cuts, for one coordinator. Deterministic: time comes in with each call, requests go out of
 * `tick`. Mutable, with a single owner, who commits what it proposes and tells it what was committed.
 */
import type { ClusterConfig } from "../../common/config/model.js";
import type { ScheduledNode, SelfDoubt } from "../../common/model/assignment.js";
import type { Transition } from "../../common/model/cut.js";
import { nodeKey } from "../../common/model/node.js";
import type { NodeKey, NodeRef, NodeState } from "../../common/model/node.js";
import type { ObservationReport } from "../../common/model/observation.js";
import type { Command } from "../state/commands.js";
import type { NodeRecord } from "../state/model.js";
import { heldStateOf } from "../state/state.js";
import { RemovalBudget } from "./budget.js";
import { CutQueue } from "./cut-queue.js";
import type { Pending } from "./cut-queue.js";
import { freshnessMs } from "./evidence.js";
import { holdOf } from "./gate.js";
import { Knowledge } from "./knowledge.js";
import { Loads } from "./loads.js";
import { NodeJudge } from "./node-judge.js";
import type { Judged } from "./node-judge.js";
import { SILENCE_MS, tally } from "./tally.js";
import type { Tally } from "./tally.js";
import { ownObserver } from "./world.js";
import type { DeciderWorld, MemberVote, Now } from "./world.js";

export type ProbeWish = { readonly node: ScheduledNode; readonly durationMs: number };

export type DeciderStep = {
  /** To be committed now; the owner answers with `committed` or `rejected`. */
  readonly cut: readonly Transition[] | null;
  /** Nodes on which this coordinator has formed its vote anew. */
  readonly voted: readonly NodeRef[];
  /** Nodes at which this coordinator should look for itself. */
  readonly probes: readonly ProbeWish[];
  /** Monotonic milliseconds at which the next `tick` is due, if nothing arrives before. */
  readonly nextTickAtMs: number;
};

/** A node as it is judged at this moment. */
export type NodeJudgement = Judged & {
  readonly record: NodeRecord;
  readonly cluster: ClusterConfig;
  readonly tally: Tally;
  readonly votes: readonly MemberVote[];
  /** What keeps the committed state from following the votes; null: nothing, or they agree. */
  readonly hold: string | null;
};

/** Nodes whose state and verdict differ are looked at this often, for what only time changes. Milliseconds. */
const SWEEP_MS = 250;
/** The others. */
const CALM_SWEEP_MS = 1_500;
/** Own probes are asked for this long, and again before that ends, while the doubt lasts. Milliseconds. */
const PROBE_MS = 5_000;
const PROBE_RENEW_MS = 1_000;
/**
 * Nodes that are probed at the same time though nobody accuses them, only because nobody says anything: when
 * the agents of a starved host abstain, a coordinator that took over all of their looks would starve it more.
 */
const SILENT_PROBES_MAX = 64;
/** While others wait for a place, one that was probed without an accusation is not again before. Milliseconds. */
const SILENT_TURN_MS = 30_000;
/** Coordinators repeat their votes more often than this; an older one is of somebody who went. Milliseconds. */
const VOTE_FRESH_MS = 5_000;
/** A tick this late means that we stood still: what arrived meanwhile has to be read first. Milliseconds. */
const STALL_MS = 1_000;
const AFTER_STALL_MS = 2_000;

/** What the decider remembers of one node beside what it heard. */
type Track = {
  readonly epoch: number;
  readonly sinceMs: number;
  /** By voter, with when each arrived. */
  readonly votes: Map<string, { readonly vote: MemberVote; readonly atMs: number }>;
  /** When a quorum of votes last had evidence. */
  informedAtMs: number;
  budgetHold: string | null;
  probedUntilMs: number;
  dueMs: number;
};

export class Decider {
  readonly #world: DeciderWorld;
  readonly #knowledge = new Knowledge();
  readonly #judge: NodeJudge;
  readonly #tracks = new Map<NodeKey, Track>();
  /** Until when; at most SILENT_PROBES_MAX. */
  readonly #silentProbes = new Map<NodeKey, number>();
  /** When somebody last found no place. */
  #silentRefusedAtMs = Number.NEGATIVE_INFINITY;
  readonly #queue = new CutQueue();
  readonly #dirty = new Set<NodeKey>();
  /** When each other coordinator last said that its votes still stand. */
  readonly #heardAtMs = new Map<string, number>();
  #budget = new RemovalBudget();
  #isLeader = false;
  #term = 0;
  #leaderSinceMs = 0;
  #graceUntilMs = Number.NEGATIVE_INFINITY;
  #nextSweepMs = Number.NEGATIVE_INFINITY;

  constructor(world: DeciderWorld, nowMs: number) {
    this.#world = world;
    this.#judge = new NodeJudge(world, this.#knowledge);
    this.#leaderSinceMs = nowMs;
    this.#knowledge.found(ownObserver(world.coordinatorId), world.coordinatorId, nowMs);
  }

  reports(observer: string, reports: readonly ObservationReport[], nowMs: number): void {
    for (const report of reports) {
      const key = nodeKey(report.node);
      const record = this.#world.state.nodes.get(key);
      if (record === undefined) continue;
      this.#track(key, record, nowMs);
      if (this.#knowledge.receive(observer, report)) this.#dirty.add(key);
    }
  }

  heartbeat(observer: string, doubt: Pick<SelfDoubt, "level" | "cause">): void {
    if (this.#knowledge.doubts(observer, doubt.level, doubt.cause)) this.#touchNodesOf(observer);
  }

  observerFound(observer: string, bootId: string, nowMs: number): void {
    this.#knowledge.found(observer, bootId, nowMs);
    this.#touchNodesOf(observer);
  }

  observerLost(observer: string, nowMs: number): void {
    this.#knowledge.lost(observer, nowMs);
    this.#touchNodesOf(observer);
  }

  /** Another coordinator's vote. One on an earlier life of the node does not count. */
  vote(node: NodeRef, vote: MemberVote, nowMs: number): void {
    const key = nodeKey(node);
    const record = this.#world.state.nodes.get(key);
    if (record === undefined || record.epoch !== vote.epoch) return;
    this.#track(key, record, nowMs).votes.set(vote.ballot.voter, { vote, atMs: nowMs });
    this.#dirty.add(key);
  }

  /** All votes of a coordinator still stand. */
  heard(voter: string, nowMs: number): void {
    this.#heardAtMs.set(voter, nowMs);
  }

  /** A coordinator begins to vote anew, or went. */
  forgetVoter(voter: string): void {
    this.#heardAtMs.delete(voter);
    for (const [key, { votes }] of this.#tracks) if (votes.delete(voter)) this.#dirty.add(key);
  }

  leadership(isLeader: boolean, nowMs: number, term = 0): void {
    if (isLeader === this.#isLeader && term === this.#term) return;
    this.#isLeader = isLeader;
    this.#term = term;
    this.#heardAtMs.clear();
    this.#leaderSinceMs = nowMs;
    this.#budget = new RemovalBudget();
    this.#queue.clear();
    // Votes of an earlier term may rest on evidence that is gone: everybody votes again.
    for (const track of this.#tracks.values()) {
      track.votes.clear();
      track.informedAtMs = nowMs;
    }
    this.#touchAll();
  }

  /** An entry was applied, whoever proposed it. */
  committed(command: Command | null): void {
    if (command === null) return;
    if (command.type === "cut") this.#settle(command.transitions);
    else if (command.type === "applyConfig" || command.type === "declareNodes") this.#touchAll();
    else if (command.type === "removeAgent") this.#knowledge.forgetObserver(command.agentId);
    else if ("node" in command) this.#dirty.add(nodeKey(command.node));
  }

  /** A snapshot has replaced the state. */
  replaced(): void {
    this.#touchAll();
  }

  /** A cut was not committed; its nodes are judged afresh. */
  rejected(transitions: readonly Transition[]): void {
    this.#settle(transitions);
  }

  tick(now: Now): DeciderStep {
    const { nowMs } = now;
    this.#noticeStall(nowMs);
    if (nowMs >= this.#nextSweepMs) this.#sweep(nowMs);
    const probes: ProbeWish[] = [];
    for (const key of this.#dirty) {
      const wish = this.#evaluate(key, now);
      if (wish !== null) probes.push(wish);
    }
    const voted = [...this.#dirty].flatMap((key) => this.#world.state.nodes.get(key) ?? []);
    this.#dirty.clear();
    const cut = this.#queue.dueAtMs(nowMs) <= nowMs ? this.#takeCut(nowMs) : null;
    return { cut, voted, probes, nextTickAtMs: Math.min(this.#nextSweepMs, this.#queue.dueAtMs(nowMs)) };
  }

  /** Judges a node now, changing nothing. Null: no such node. */
  judgement(node: NodeRef, now: Now): NodeJudgement | null {
    const key = nodeKey(node);
    const known = this.#find(key);
    if (known === null) return null;
    const { record, cluster } = known;
    const track = this.#tracks.get(key);
    const judged = this.#judge.judge(record, cluster, track?.sinceMs ?? now.nowMs, now.nowMs);
    const own = this.#judge.vote(record, judged);
    const others = track?.epoch === record.epoch ? this.#countedVotes(track, now.nowMs) : [];
    const votes = [own, ...others.filter((vote) => vote.ballot.voter !== own.ballot.voter)];
    const counted = this.#tally(votes, cluster);
    const to = this.#desired(track?.informedAtMs ?? now.nowMs, record, counted, now.nowMs);
    const isConclusive = isConclusiveDeath(to, votes);
    const gate = to === record.state ? null : this.#gate(record, cluster, to, isConclusive, now);
    const budget = to === record.state ? null : (track?.budgetHold ?? null);
    return { ...judged, record, cluster, tally: counted, votes, hold: gate ?? budget };
  }

  /** This coordinator's own vote, for the leader; null: it has none yet. */
  ownVote(node: NodeRef): MemberVote | null {
    return this.#tracks.get(nodeKey(node))?.votes.get(this.#world.coordinatorId)?.vote ?? null;
  }

  /** A process that stood still would take its own deafness for everybody's silence. */
  #noticeStall(nowMs: number): void {
    const isFirst = this.#nextSweepMs === Number.NEGATIVE_INFINITY;
    if (isFirst || nowMs - this.#nextSweepMs < STALL_MS) return;
    this.#graceUntilMs = nowMs + AFTER_STALL_MS;
    for (const track of this.#tracks.values()) track.informedAtMs = nowMs;
  }

  #sweep(nowMs: number): void {
    this.#nextSweepMs = nowMs + SWEEP_MS;
    const { nodes } = this.#world.state;
    for (const [key, record] of nodes) {
      if (this.#track(key, record, nowMs).dueMs <= nowMs) this.#dirty.add(key);
    }
    if (this.#tracks.size === nodes.size) return;
    for (const key of this.#tracks.keys()) {
      if (nodes.has(key)) continue;
      this.#tracks.delete(key);
      this.#forget(key);
    }
  }

  /** Forms this coordinator's vote, counts, and notes what should change. */
  #evaluate(key: NodeKey, now: Now): ProbeWish | null {
    const known = this.#find(key);
    if (known === null) return null;
    const { record, cluster } = known;
    const { nowMs } = now;
    const track = this.#track(key, record, nowMs);
    const judged = this.#judge.judge(record, cluster, track.sinceMs, nowMs);
    const { verdict } = judged;
    const own = this.#judge.vote(record, judged);
    track.votes.set(own.ballot.voter, { vote: own, atMs: nowMs });
    const votes = this.#countedVotes(track, nowMs);
    const counted = this.#tally(votes, cluster);
    if (counted.kind !== "silent") track.informedAtMs = nowMs;
    const to = this.#desired(track.informedAtMs, record, counted, nowMs);
    const isConclusive = isConclusiveDeath(to, votes);
    // A death that has become certain is committed too: in panic it matters.
    const isNews = to !== record.state || (isConclusive && !record.isConclusive);
    const isWanted = isNews && this.#gate(record, cluster, to, isConclusive, now) === null;
    if (to === record.state) track.budgetHold = null;
    this.#queue.want(key, this.#isLeader && isWanted ? { to, isConclusive } : null, nowMs);
    this.#queue.accuse(key, verdict.isAccused && to === record.state && to !== verdict.state, nowMs);
    track.dueMs = nowMs + (verdict.state === record.state ? CALM_SWEEP_MS : SWEEP_MS);
    const isSuspected = verdict.isAccused || nowMs - this.#knowledge.doubtedAtMs(key) < PROBE_RENEW_MS;
    const isProbeDue = isSuspected || (verdict.isProbeWanted && this.#maySilentProbe(key, track, nowMs));
    return isProbeDue ? probeWish(track, record, cluster, nowMs) : null;
  }

  /** Takes one of the places for probes without an accusation; who had one lately lets those who wait go first. */
  #maySilentProbe(key: NodeKey, track: Track, nowMs: number): boolean {
    if (isProbing(track, nowMs)) return true;
    for (const [probed, untilMs] of this.#silentProbes)
      if (untilMs <= nowMs) this.#silentProbes.delete(probed);
    const isFull = this.#silentProbes.size >= SILENT_PROBES_MAX && !this.#silentProbes.has(key);
    if (isFull) this.#silentRefusedAtMs = nowMs;
    const isOthersTurn =
      nowMs - this.#silentRefusedAtMs < CALM_SWEEP_MS && nowMs - track.probedUntilMs < SILENT_TURN_MS;
    if (isFull || isOthersTurn) return false;
    this.#silentProbes.set(key, nowMs + PROBE_MS);
    return true;
  }

  /** Of members, on the configuration that counts, and said or repeated lately. */
  #countedVotes(track: Track, nowMs: number): readonly MemberVote[] {
    const members = this.#world.members();
    const { revision } = this.#world.state.config;
    return [...track.votes].flatMap(([voter, { vote, atMs }]) => {
      const saidAtMs = Math.max(atMs, this.#heardAtMs.get(voter) ?? atMs);
      const isFresh = nowMs - saidAtMs < VOTE_FRESH_MS;
      return isFresh && vote.policyRevision === revision && members.includes(voter) ? [vote] : [];
    });
  }

  #tally(votes: readonly MemberVote[], cluster: ClusterConfig): Tally {
    return tally(votes, cluster.policy.quorum, this.#world.members().length);
  }

  /** What the votes want the node to be; its committed state where they want nothing. */
  #desired(informedAtMs: number, record: NodeRecord, counted: Tally, nowMs: number): NodeState {
    if (counted.kind === "decided") return counted.state;
    const isSilent = counted.kind === "silent" && nowMs - informedAtMs >= SILENCE_MS;
    return isSilent ? "unknown" : record.state;
  }

  #gate(
    record: NodeRecord,
    cluster: ClusterConfig,
    to: NodeState,
    isConclusive: boolean,
    now: Now,
  ): string | null {
    const roundsMs = cluster.checks.map((check) => Math.max(freshnessMs(check, 0), 2 * check.everyMs));
    const warmUntilMs = Math.max(this.#leaderSinceMs + Math.max(0, ...roundsMs), this.#graceUntilMs);
    return holdOf(
      { record, to, isConclusive },
      {
        policy: cluster.policy,
        isInPanic: this.#world.state.panics.has(cluster.name),
        leaderNowMs: now.leaderNowMs,
        warmUpLeftMs: warmUntilMs - now.nowMs,
      },
    );
  }

  #takeCut(nowMs: number): readonly Transition[] | null {
    const { nodes } = this.#world.state;
    let loads: Loads | null = null;
    const transitions: Transition[] = [];
    for (const [key, pending] of this.#queue.take()) {
      const known = this.#find(key);
      if (known === null) continue;
      const { record, cluster } = known;
      const track = this.#track(key, record, nowMs);
      const isBudgeted = needsBudget(record, pending);
      track.budgetHold = null;
      if (isBudgeted) {
        loads ??= new Loads(nodes, (each) => this.#queue.isLeaving(each), this.#world.zoneOf);
        const answer = this.#budget.take(loads.of(record, cluster), nowMs);
        if (!answer.isGranted) {
          track.budgetHold = answer.words;
          continue;
        }
        loads.add(record);
      }
      this.#queue.propose(key, isBudgeted);
      transitions.push(transitionOf(record, pending, this.#countedVotes(track, nowMs)));
    }
    return transitions.length === 0 ? null : transitions;
  }

  #settle(transitions: readonly Transition[]): void {
    for (const { node } of transitions) {
      this.#queue.settle(nodeKey(node));
      this.#dirty.add(nodeKey(node));
    }
  }

  #find(key: NodeKey): { record: NodeRecord; cluster: ClusterConfig } | null {
    const record = this.#world.state.nodes.get(key);
    const cluster = record && this.#world.state.config.value.clusters[record.cluster];
    return record === undefined || cluster === undefined ? null : { record, cluster };
  }

  /** A node removed and added again is another node: nothing heard of the first counts for the second. */
  #track(key: NodeKey, record: NodeRecord, nowMs: number): Track {
    const known = this.#tracks.get(key);
    if (known?.epoch === record.epoch) return known;
    if (known !== undefined) this.#forget(key);
    const track: Track = {
      epoch: record.epoch,
      sinceMs: nowMs,
      votes: new Map(),
      informedAtMs: nowMs,
      budgetHold: null,
      probedUntilMs: Number.NEGATIVE_INFINITY,
      dueMs: nowMs,
    };
    this.#tracks.set(key, track);
    return track;
  }

  #forget(key: NodeKey): void {
    this.#knowledge.forget(key);
    this.#queue.forget(key);
  }

  #touchNodesOf(observer: string): void {
    for (const key of this.#knowledge.nodesOf(observer)) this.#dirty.add(key);
  }

  #touchAll(): void {
    for (const key of this.#world.state.nodes.keys()) this.#dirty.add(key);
  }
}

function isConclusiveDeath(to: NodeState, votes: readonly MemberVote[]): boolean {
  return to === "down" && votes.some((vote) => vote.isConclusive);
}

/** Timeouts that take a node out of use cost budget; one that is out already, or an operator took out, does not. */
function needsBudget(record: NodeRecord, pending: Pending): boolean {
  const isRemoval = pending.to === "down" || pending.to === "degraded";
  return isRemoval && !pending.isConclusive && heldStateOf(record) === "healthy" && record.overlay === null;
}

function transitionOf(record: NodeRecord, pending: Pending, votes: readonly MemberVote[]): Transition {
  const agreeing = votes.find((vote) => vote.verdict === pending.to) ?? votes[0];
  const cause = agreeing === undefined ? "" : agreeing.cause === "" ? agreeing.ballot.rule : agreeing.cause;
  return {
    node: { cluster: record.cluster, addr: record.addr },
    epoch: record.epoch,
    from: record.state,
    to: pending.to,
    cause: pending.to === "unknown" ? "no fresh evidence from a quorum of coordinators" : cause,
    isConclusive: pending.isConclusive,
    ballots: votes.map((vote) => vote.ballot),
  };
}

/** Whether own probes run, and go on for a while. */
function isProbing(track: Track, nowMs: number): boolean {
  return track.probedUntilMs - nowMs > PROBE_RENEW_MS;
}

/** Asks for own probes, unless they run already. */
function probeWish(
  track: Track,
  record: NodeRecord,
  cluster: ClusterConfig,
  nowMs: number,
): ProbeWish | null {
  if (isProbing(track, nowMs)) return null;
  track.probedUntilMs = nowMs + PROBE_MS;
  return { node: scheduledNode(record, cluster), durationMs: PROBE_MS };
}

export function scheduledNode(record: NodeRecord, cluster: ClusterConfig): ScheduledNode {
  return {
    node: { cluster: record.cluster, addr: record.addr },
    epoch: record.epoch,
    clusterType: cluster.type,
    checks: cluster.checks,
  };
}
