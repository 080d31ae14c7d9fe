/** Which votes the leader still has to hear. Pure: time is an argument. */
import type { NodeKey } from "../../common/model/node.js";
import { nodeKey } from "../../common/model/node.js";
import type { MemberVote } from "../health/world.js";
import type { NodeVote } from "./vote-wire.js";

/** Unchanged votes are sent again this often, so that the evidence in a cut is not old. Milliseconds. */
const REPEAT_MS = 1_500;
/** Where nothing is wrong. */
const REPEAT_HEALTHY_MS = 10_000;

type Sent = { readonly digest: string; readonly atMs: number };

/**
 * What was sent on one stream. That votes stand is said by the stream's heartbeats, so a quiet tier of ten
 * thousand healthy nodes sends a thousand votes a second at most, and usually fewer.
 */
export class VoteJournal {
  readonly #sent = new Map<NodeKey, Sent>();

  /** Whether a vote is news, or due again; if so it counts as sent. */
  take({ node, vote }: NodeVote, nowMs: number): boolean {
    const key = nodeKey(node);
    const digest = digestOf(vote);
    const before = this.#sent.get(key);
    const repeatMs = vote.verdict === "healthy" ? REPEAT_HEALTHY_MS : REPEAT_MS;
    if (before?.digest === digest && nowMs - before.atMs < repeatMs) return false;
    this.#sent.set(key, { digest, atMs: nowMs });
    return true;
  }

  forget(isGone: (key: NodeKey) => boolean): void {
    for (const key of this.#sent.keys()) if (isGone(key)) this.#sent.delete(key);
  }
}

/** What changes the count, or what people are told. How often in a row a check passed is neither. */
function digestOf(vote: MemberVote): string {
  const { epoch, policyRevision, verdict, isInformed, isConclusive, cause, ballot } = vote;
  const counted = [epoch, policyRevision, verdict, isInformed, isConclusive];
  if (verdict === "healthy") return JSON.stringify(counted);
  const evidence = ballot.evidence.map(({ observer, check, outcome, isAbstaining }) => [
    observer,
    check,
    outcome,
    isAbstaining,
  ]);
  return JSON.stringify([...counted, cause, ballot.rule, evidence]);
}
