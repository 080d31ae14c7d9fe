import { createHash } from "node:crypto";
import type { NodeRef } from "../../common/model/node.js";
import { nodeKey } from "../../common/model/node.js";

/** An agent that could look at a node from elsewhere. */
export type PeerCandidate = {
  readonly id: string;
  /** Empty: not known, and then it shares its zone with nobody. */
  readonly zone: string;
};

/** Enough to outvote one observer that cannot reach a node, few enough to be no load on it. */
const PEERS_MAX = 5;
/** What fails together must not be a majority of the peers. */
const PER_ZONE_MAX = 2;

/**
 * The agents that are asked to look at a node when somebody doubts it: the same for every coordinator that
 * sees the same agents, others for other nodes, and mostly the same when an agent comes or goes.
 * Source: rendezvous hashing (Thaler and Ravishankar, 1998).
 */
export function choosePeers(node: NodeRef, candidates: readonly PeerCandidate[]): readonly string[] {
  const key = nodeKey(node);
  const ranked = candidates
    .map(({ id, zone }) => ({ id, zone, rank: rankOf(key, id) }))
    .sort((left, right) => compare(right.rank, left.rank) || compare(left.id, right.id));
  const perZone = new Map<string, number>();
  const chosen: string[] = [];
  for (const { id, zone } of ranked) {
    if (chosen.length === PEERS_MAX) break;
    const count = zone === "" ? 0 : (perZone.get(zone) ?? 0);
    if (count === PER_ZONE_MAX) continue;
    perZone.set(zone, count + 1);
    chosen.push(id);
  }
  return chosen;
}

function rankOf(key: string, agentId: string): string {
  return createHash("sha1").update(`${key}\n${agentId}`).digest("hex");
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
