/** Puts together what was heard of one node, and judges it. */
import { ABSTAIN_LEVEL } from "../../common/model/assignment.js";
import type { CheckConfig, ClusterConfig } from "../../common/config/model.js";
import { nodeKey } from "../../common/model/node.js";
import type { NodeRecord } from "../state/model.js";
import { freshnessMs, toBallotEvidence, weigh } from "./evidence.js";
import type { Evidence, Role } from "./evidence.js";
import type { Knowledge } from "./knowledge.js";
import { judge } from "./verdict.js";
import type { Verdict } from "./verdict.js";
import { ownObserver } from "./world.js";
import type { DeciderWorld, MemberVote } from "./world.js";

export type Judged = {
  readonly evidence: readonly Evidence[];
  readonly verdict: Verdict;
};

export class NodeJudge {
  readonly #world: DeciderWorld;
  readonly #knowledge: Knowledge;

  constructor(world: DeciderWorld, knowledge: Knowledge) {
    this.#world = world;
    this.#knowledge = knowledge;
  }

  /** `knownSinceMs`: when this coordinator first saw the node in the state. */
  judge(record: NodeRecord, cluster: ClusterConfig, knownSinceMs: number, nowMs: number): Judged {
    const agent = this.#world.agentBeside(record);
    const evidence = this.#evidence(record, cluster, agent, nowMs);
    const verdict = judge(evidence, {
      cluster,
      memberCount: this.#world.members().length,
      mayProbe: this.#world.mayProbe(record),
      isLocalExpected: (check) =>
        agent !== null && this.#isExpected(agent, check, evidence, knownSinceMs, nowMs),
    });
    return { evidence, verdict };
  }

  vote(record: NodeRecord, { evidence, verdict }: Judged): MemberVote {
    return {
      epoch: record.epoch,
      policyRevision: this.#world.state.config.revision,
      verdict: verdict.state,
      isInformed: verdict.isInformed,
      isConclusive: verdict.isConclusive,
      cause: verdict.cause,
      ballot: {
        voter: this.#world.coordinatorId,
        verdict: verdict.state,
        rule: verdict.rule,
        evidence: evidence.map(toBallotEvidence),
      },
    };
  }

  #evidence(record: NodeRecord, cluster: ClusterConfig, agent: string | null, nowMs: number): Evidence[] {
    const heard = this.#knowledge.of(nodeKey(record));
    const found: Evidence[] = [];
    for (const [id, byCheck] of heard) {
      const role = this.#roleOf(id, agent);
      const observer = this.#knowledge.observer(id);
      for (const check of cluster.checks) {
        const memory = byCheck.get(check.id);
        if (memory !== undefined) found.push(weigh({ observer: id, role, memory }, check, observer, nowMs));
      }
    }
    return found;
  }

  #roleOf(observer: string, agent: string | null): Role {
    if (observer === ownObserver(this.#world.coordinatorId)) return "own";
    return observer === agent ? "local" : "peer";
  }

  /** An agent that just came, or just learnt of the node, is given time for its first word. */
  #isExpected(
    agent: string,
    check: CheckConfig,
    evidence: readonly Evidence[],
    knownSinceMs: number,
    nowMs: number,
  ): boolean {
    const observer = this.#knowledge.observer(agent);
    if (!observer.isConnected || observer.doubtLevel >= ABSTAIN_LEVEL) return false;
    const word = evidence.find((each) => each.observer === agent && each.check.id === check.id);
    if (word?.standing === "inconclusive") return false;
    if (word !== undefined && word.standing !== "unverified") return !word.isOverdue;
    return nowMs - Math.max(observer.sinceMs, knownSinceMs) < freshnessMs(check, observer.doubtLevel);
  }
}

/** Nodes that a coordinator looks at all the time: nobody else does, or they are not well and it must see their return. */
export function isOwnDuty(record: NodeRecord, hasConnectedAgent: boolean): boolean {
  return !hasConnectedAgent || record.state === "down" || record.state === "degraded";
}
