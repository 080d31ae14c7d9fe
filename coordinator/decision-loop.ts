/**
 * Owns the decider: feeds it what agents and this coordinator's own probes saw, commits its cuts while this
 * coordinator leads, and keeps the own schedule pointed at the nodes that nobody else looks at.
 */
import type { Schedule } from "../checks/schedule.js";
import type { Clock } from "../common/clock.js";
import { messageOf } from "../common/errors.js";
import type { Logger } from "../common/logger.js";
import type { Ballot, BallotEvidence, Transition } from "../common/model/cut.js";
import type { NodeRef } from "../common/model/node.js";
import type { Facts, ObservationReport } from "../common/model/observation.js";
import type { Fleet } from "./agents/fleet.js";
import { choosePeers } from "./tier/choose-peers.js";
import { Decider, scheduledNode } from "./health/decider.js";
import type { NodeJudgement, ProbeWish } from "./health/decider.js";
import { ballotEvidence, explain, factsOf, warningsOf } from "./health/explain.js";
import type { Explanation } from "./health/explain.js";
import { agentChores, nodeChores } from "./health/housekeeping.js";
import type { Chore } from "./health/housekeeping.js";
import { isOwnDuty } from "./health/node-judge.js";
import type { Verdict } from "./health/verdict.js";
import { ownObserver } from "./health/world.js";
import type { MemberVote, Now } from "./health/world.js";
import type { Leadership, ReplicatedLog } from "./log/replicated-log.js";
import type { Replica } from "./replica.js";

export type DecisionLoopOptions = {
  readonly coordinatorId: string;
  readonly replica: Replica;
  readonly fleet: Fleet;
  /** Its reports have to arrive at `ownReports`. */
  readonly schedule: Pick<Schedule, "assign" | "probe" | "selfDoubt">;
  readonly log: Pick<ReplicatedLog, "leadership" | "onLeadership" | "members">;
  /** Its wall time is the leader's: what fits the stamps in the log. */
  readonly clock: Clock;
  readonly logger: Logger;
  /** This coordinator has formed its votes on these nodes anew, though perhaps as they were. */
  readonly onVoted?: (nodes: readonly NodeRef[]) => void;
};

export interface DecisionLoop {
  /** What this coordinator's own schedule saw, on its own monotonic clock. */
  ownReports(reports: readonly ObservationReport[]): void;
  /** This coordinator's own vote, for the leader; null: it has none yet. */
  ownVote(node: NodeRef): MemberVote | null;
  /** What other coordinators tell while this one leads. */
  readonly peerVotes: PeerVotes;
  /** Null: no such node. */
  explain(node: NodeRef): Explanation | null;
  verdictOf(node: NodeRef): Verdict | null;
  /** The verdict as it would stand in a cut. Null: no such node. */
  ballotOf(node: NodeRef): Ballot | null;
  /** What keeps the committed state from following the verdict; empty when they agree. */
  holdOf(node: NodeRef): string;
  /** Every observer's last word on every check, nearest observer first. */
  evidenceOf(node: NodeRef): readonly BallotEvidence[];
  factsOf(node: NodeRef): Facts;
  warningsOf(node: NodeRef): readonly string[];
  close(): void;
}

/** The leader's ear for the other coordinators' votes. */
export type PeerVotes = {
  vote(node: NodeRef, vote: MemberVote): void;
  /** All votes of a coordinator still stand. */
  heard(voter: string): void;
  /** A coordinator begins anew, or went. */
  forget(voter: string): void;
};

/** A command that failed or was refused is not tried again before. Milliseconds. */
const RETRY_MS = 2_000;
/** What is still wanted after a cut failed is proposed again after this time. Milliseconds. */
const CUT_RETRY_MS = 250;
/** Overlays and purges are looked for this often. Milliseconds. */
const NODE_CHORES_MS = 1_000;

export function startDecisionLoop(options: DecisionLoopOptions): DecisionLoop {
  return new RunningLoop(options);
}

class RunningLoop implements DecisionLoop {
  readonly #options: DecisionLoopOptions;
  readonly #own: string;
  readonly #decider: Decider;
  readonly #startedAtMs: number;
  /** When agents were lost, monotonic. One that was never here is away since the start. */
  readonly #lostAtMs = new Map<string, number>();
  /** Chores on their way, or waiting until they may be tried again. */
  readonly #choresNotBeforeMs = new Map<string, number>();
  readonly #unsubscribe: readonly (() => void)[];
  #isAssignmentDue = true;
  #nodeChoresAtMs = Number.NEGATIVE_INFINITY;
  #wakeAtMs = Infinity;
  #cancelWake: () => void = () => undefined;
  readonly #closing = new AbortController();

  constructor(options: DecisionLoopOptions) {
    const { coordinatorId, replica, fleet, log, clock } = options;
    this.#options = options;
    this.#own = ownObserver(coordinatorId);
    this.#startedAtMs = clock.monotonicMs();
    this.#decider = new Decider(
      {
        coordinatorId,
        state: replica.state,
        members: () => log.members(),
        agentBeside: (node) => fleet.agentBeside(node),
        zoneOf: (node) => this.#zoneOf(node),
        mayProbe: (node) => fleet.canReach(node),
      },
      this.#startedAtMs,
    );
    this.#unsubscribe = [fleet.listen(this.#fleetListener()), ...this.#listenToLog()];
    for (const session of fleet.sessions()) {
      if (session.isConnected) this.#decider.observerFound(session.id, session.bootId, this.#startedAtMs);
      this.#decider.heartbeat(session.id, session.selfDoubt);
    }
    this.#wakeAt(this.#startedAtMs);
  }

  ownReports(reports: readonly ObservationReport[]): void {
    this.#reports(this.#own, reports);
  }

  ownVote(node: NodeRef): MemberVote | null {
    return this.#decider.ownVote(node);
  }

  readonly peerVotes: PeerVotes = {
    vote: (node, vote) => {
      this.#decider.vote(node, vote, this.#nowMs());
      this.#wakeAt(this.#nowMs());
    },
    heard: (voter) => this.#decider.heard(voter, this.#nowMs()),
    forget: (voter) => {
      this.#decider.forgetVoter(voter);
      this.#wakeAt(this.#nowMs());
    },
  };

  explain(node: NodeRef): Explanation | null {
    const judgement = this.#judgement(node);
    return judgement === null ? null : explain(judgement);
  }

  verdictOf(node: NodeRef): Verdict | null {
    return this.#judgement(node)?.verdict ?? null;
  }

  ballotOf(node: NodeRef): Ballot | null {
    const votes = this.#judgement(node)?.votes ?? [];
    return votes.find((vote) => vote.ballot.voter === this.#options.coordinatorId)?.ballot ?? null;
  }

  holdOf(node: NodeRef): string {
    return this.explain(node)?.hold ?? "";
  }

  evidenceOf(node: NodeRef): readonly BallotEvidence[] {
    return ballotEvidence(this.#judgement(node)?.evidence ?? []);
  }

  factsOf(node: NodeRef): Facts {
    return factsOf(this.#judgement(node)?.evidence ?? []);
  }

  warningsOf(node: NodeRef): readonly string[] {
    return warningsOf(this.#judgement(node)?.evidence ?? []);
  }

  close(): void {
    this.#closing.abort();
    this.#cancelWake();
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #fleetListener(): Parameters<Fleet["listen"]>[0] {
    return {
      onReports: (agentId, reports) => this.#reports(agentId, reports),
      onHeartbeat: (agentId, doubt) => this.#decider.heartbeat(agentId, doubt),
      onFound: (session) => {
        this.#lostAtMs.delete(session.id);
        this.#decider.observerFound(session.id, session.bootId, this.#nowMs());
        this.#decider.heartbeat(session.id, session.selfDoubt);
        this.#reassign();
      },
      onLost: (session) => {
        this.#lostAtMs.set(session.id, this.#nowMs());
        this.#decider.observerLost(session.id, this.#nowMs());
        this.#reassign();
      },
    };
  }

  #listenToLog(): readonly (() => void)[] {
    const { replica, log } = this.#options;
    const follow = ({ isLeader, term }: Leadership): void => {
      this.#decider.leadership(isLeader, this.#nowMs(), term);
      this.#wakeAt(this.#nowMs());
    };
    follow(log.leadership());
    return [
      log.onLeadership(follow),
      replica.onReplaced(() => {
        this.#decider.replaced();
        this.#reassign();
      }),
      replica.onApplied(({ command, result }) => {
        if (result.isAccepted) this.#decider.committed(command);
        if (command?.type === "removeAgent" && result.isAccepted) this.#lostAtMs.delete(command.agentId);
        this.#reassign();
      }),
    ];
  }

  #reports(observer: string, reports: readonly ObservationReport[]): void {
    this.#decider.reports(observer, reports, this.#nowMs());
    this.#wakeAt(this.#nowMs());
  }

  #reassign(): void {
    this.#isAssignmentDue = true;
    this.#wakeAt(this.#nowMs());
  }

  /** Runs at this time or earlier. What arrives in one turn of the event loop is decided together. */
  #wakeAt(atMs: number): void {
    if (this.#closing.signal.aborted || atMs >= this.#wakeAtMs) return;
    this.#cancelWake();
    this.#wakeAtMs = atMs;
    this.#cancelWake = this.#options.clock.after(Math.max(0, atMs - this.#nowMs()), () => {
      this.#wakeAtMs = Infinity;
      this.#run();
    });
  }

  #run(): void {
    if (this.#closing.signal.aborted) return;
    const { schedule } = this.#options;
    if (this.#isAssignmentDue) this.#assign();
    this.#decider.heartbeat(this.#own, schedule.selfDoubt());
    const step = this.#decider.tick(this.#now());
    for (const wish of step.probes) this.#probe(wish);
    if (step.voted.length > 0) this.#options.onVoted?.(step.voted);
    if (step.cut !== null) void this.#commit(step.cut);
    if (this.#options.log.leadership().isLeader) this.#doChores();
    this.#wakeAt(step.nextTickAtMs);
  }

  /** Looks for itself, and asks agents that stand elsewhere to look too. */
  #probe({ node, durationMs }: ProbeWish): void {
    const { schedule, fleet } = this.#options;
    if (fleet.canReach(node.node)) schedule.probe(node, durationMs);
    for (const agent of choosePeers(node.node, fleet.peersOf(node.node)))
      fleet.probe(agent, node, durationMs);
  }

  #assign(): void {
    this.#isAssignmentDue = false;
    const { replica, schedule, fleet } = this.#options;
    const { nodes, config } = replica.state;
    const connected = this.#connectedAgents();
    const mine = [...nodes.values()].flatMap((record) => {
      const cluster = config.value.clusters[record.cluster];
      const agent = fleet.agentBeside(record);
      const isMine = isOwnDuty(record, agent !== null && connected.has(agent)) && fleet.canReach(record);
      if (cluster === undefined || !isMine) return [];
      const zone = this.#zoneOf(record);
      // A zone that is lost as a whole is not this observer's own fault.
      return [{ ...scheduledNode(record, cluster), ...(zone === "" ? {} : { zone }) }];
    });
    schedule.assign(mine);
  }

  async #commit(cut: readonly Transition[]): Promise<void> {
    const { replica, logger, clock, log } = this.#options;
    const startedMs = this.#nowMs();
    const { term } = log.leadership();
    try {
      const { result, position } = await replica.propose({ type: "cut", transitions: cut, term }, "leader");
      if (result.isAccepted) {
        const commitMs = Math.round(this.#nowMs() - startedMs);
        logger.info("cut.committed", { index: position.index, transitions: cut.length, commitMs });
        return;
      }
      logger.warn("cut.refused", { index: position.index, code: result.code, message: result.message });
    } catch (thrown) {
      logger.warn("cut.failed", { transitions: cut.length, message: messageOf(thrown) });
    }
    await clock.sleep(CUT_RETRY_MS, this.#closing.signal);
    this.#decider.rejected(cut);
    this.#wakeAt(this.#nowMs());
  }

  #doChores(): void {
    const { replica, fleet } = this.#options;
    const { nowMs, leaderNowMs } = this.#now();
    const awaySinceMs = (agentId: string): number => this.#lostAtMs.get(agentId) ?? this.#startedAtMs;
    const chores = [...agentChores(replica.state, fleet.sessions(), awaySinceMs, nowMs)];
    if (nowMs >= this.#nodeChoresAtMs) {
      this.#nodeChoresAtMs = nowMs + NODE_CHORES_MS;
      chores.push(...nodeChores(replica.state, leaderNowMs));
    }
    for (const chore of chores) {
      if (nowMs >= (this.#choresNotBeforeMs.get(chore.key) ?? nowMs)) void this.#doChore(chore);
    }
  }

  async #doChore({ key, command }: Chore): Promise<void> {
    const { replica, logger } = this.#options;
    this.#choresNotBeforeMs.set(key, Infinity);
    let problem = "";
    try {
      const { result } = await replica.propose(command, "leader");
      if (!result.isAccepted) problem = result.message;
    } catch (thrown) {
      problem = messageOf(thrown);
    }
    if (problem === "") {
      this.#choresNotBeforeMs.delete(key);
      return;
    }
    logger.warn("chore.failed", { chore: key, command: command.type, message: problem });
    this.#choresNotBeforeMs.set(key, this.#nowMs() + RETRY_MS);
  }

  #judgement(node: NodeRef): NodeJudgement | null {
    return this.#decider.judgement(node, this.#now());
  }

  /** The zone of the agent beside a node. */
  #zoneOf(node: NodeRef): string {
    const { replica, fleet } = this.#options;
    const agent = fleet.agentBeside(node);
    return agent === null ? "" : (replica.state.agents.get(agent)?.zone ?? "");
  }

  #connectedAgents(): ReadonlySet<string> {
    const sessions = this.#options.fleet.sessions().filter((session) => session.isConnected);
    return new Set(sessions.map((session) => session.id));
  }

  #now(): Now {
    const nowMs = this.#nowMs();
    return { nowMs, leaderNowMs: this.#options.clock.wallMs() };
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }
}
