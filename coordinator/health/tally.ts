/** Counts the coordinators' votes on one node against its cluster's quorum policy. */
import { majorityOf } from "../../common/majority.js";
import type { PolicyConfig } from "../../common/config/model.js";
import type { NodeState } from "../../common/model/node.js";

export type Vote = {
  readonly verdict: NodeState;
  /** The voter had fresh evidence, whatever it made of it. */
  readonly isInformed: boolean;
};

export type Tally =
  | { readonly kind: "decided"; readonly state: Exclude<NodeState, "unknown">; readonly words: string }
  /** The committed state stays. */
  | { readonly kind: "hold"; readonly words: string }
  /** So few voters have evidence that nobody can say; after `SILENCE_MS` the node is unknown. */
  | { readonly kind: "silent"; readonly words: string };

/** Without a quorum of votes for this long a node becomes unknown. Milliseconds. */
export const SILENCE_MS = 10_000;

/** Votes that make a node down, over the configured members. */
export function downQuorum(policy: PolicyConfig["quorum"], memberCount: number): number {
  switch (policy) {
    case "majority":
      return majorityOf(memberCount);
    case "any":
      return 1;
    case "all":
      return memberCount;
    default:
      return Math.min(Math.max(1, policy), memberCount);
  }
}

/** So many that "down" and "healthy" can never both be reached. */
export function upQuorum(policy: PolicyConfig["quorum"], memberCount: number): number {
  return memberCount - downQuorum(policy, memberCount) + 1;
}

/**
 * `votes` may be fewer than the members: who is silent counts for nobody, but is counted.
 * Down and degraded votes add up: a node that some find dead and others impaired is not healthy.
 */
export function tally(votes: readonly Vote[], policy: PolicyConfig["quorum"], memberCount: number): Tally {
  const count = (state: NodeState): number => votes.filter((vote) => vote.verdict === state).length;
  const down = count("down");
  const bad = down + count("degraded");
  const healthy = count("healthy");
  const needed = downQuorum(policy, memberCount);
  const neededUp = upQuorum(policy, memberCount);
  if (down >= needed) return decided("down", `${down} of ${memberCount} votes say down, ${needed} needed`);
  if (bad >= needed) {
    return decided("degraded", `${bad} of ${memberCount} votes say degraded or down, ${needed} needed`);
  }
  if (healthy >= neededUp) {
    return decided("healthy", `${healthy} of ${memberCount} votes say healthy, ${neededUp} needed`);
  }
  const informed = votes.filter((vote) => vote.isInformed).length;
  if (informed < downQuorum("majority", memberCount)) {
    return { kind: "silent", words: `only ${informed} of ${memberCount} coordinators have fresh evidence` };
  }
  const words = `no quorum: ${down} down, ${bad - down} degraded, ${healthy} healthy of ${memberCount}, ${needed} needed to remove and ${neededUp} to return`;
  return { kind: "hold", words };
}

function decided(state: Exclude<NodeState, "unknown">, words: string): Tally {
  return { kind: "decided", state, words };
}
