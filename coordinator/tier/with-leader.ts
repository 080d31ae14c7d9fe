import type { Clock } from "../../common/clock.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import { isUnsent } from "../../common/grpc/unsent.js";
import type { Leadership, ReplicatedLog } from "../log/replicated-log.js";
import type { TierCalls, TierPeers } from "./peers.js";
import type { TierWatch } from "./tier-watch.js";

export type LeaderCallOptions = {
  readonly log: Pick<ReplicatedLog, "leadership" | "onLeadership">;
  readonly peers: Pick<TierPeers, "to">;
  readonly clock: Clock;
  /** What is known when nobody leads. */
  readonly noLeader: () => ClusterduckError;
};

/** For calls that one coordinator makes at the leader, whoever that is. */
export function leaderCalls({
  log,
  peers,
  clock,
  watch,
}: Omit<LeaderCallOptions, "noLeader"> & { readonly watch: Pick<TierWatch, "noLeader"> }): LeaderCallOptions {
  return { log, peers, clock, noLeader: () => watch.noLeader() };
}

export type LeaderCall<Result> = {
  /** Here, while this coordinator leads. */
  readonly local: () => Promise<Result>;
  readonly remote: (leader: TierCalls, signal: AbortSignal) => Promise<Result>;
  /** May be done again when nobody knows whether it was done. */
  readonly isRepeatable: boolean;
  /** It changes something: should nobody know in the end whether it was done, that is said. */
  readonly isChange: boolean;
  /**
   * Called before an answer or a refusal is passed on. `wasLost`: an earlier attempt ended without one, and may still
   * be under way. When it fails, the outcome is unknown.
   */
  readonly conclude?: (end: End<Result>, wasLost: boolean) => Promise<void>;
  /** How long to wait for a leader, milliseconds. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
};

export type End<Result> = { readonly answer: Result } | { readonly thrown: unknown };

/** How long people and programs wait for a leader: an election takes a second or two. Milliseconds. */
export const ELECTION_PATIENCE_MS = 4_000;
const LOOK_AGAIN_MS = 100;
/** A leader that has handed over still answers what it was asked before; one that stands still does not. Milliseconds. */
const FAREWELL_MS = 1_000;

/**
 * Does something where the leader is, and follows leadership while it moves: a refusal with NOT_LEADER, or a
 * connection that could not be made, means that nothing has happened.
 * @throws ClusterduckError NOT_LEADER or UNREACHABLE without a leader, OUTCOME_UNKNOWN when one went away in the
 *   middle of a change; and whatever the call throws.
 */
export async function withLeader<Result>(
  options: LeaderCallOptions,
  call: LeaderCall<Result>,
): Promise<Result> {
  const { log, clock } = options;
  const deadlineMs = clock.monotonicMs() + call.patienceMs;
  /** What an attempt ended with that may have changed something. */
  let unknown: { readonly thrown: unknown; readonly leaderId: string } | null = null;
  for (;;) {
    const leadership = log.leadership();
    const leaderId = leadership.leaderId ?? "";
    const end = await attempt(options, leadership, call);
    if (end !== null && ("answer" in end || !mayTryAgain(end.thrown, call))) {
      await conclude(call, end, unknown !== null, leaderId);
      if ("answer" in end) return end.answer;
      throw wordsFor(end.thrown, leaderId);
    }
    if (end !== null && "thrown" in end && call.isChange && !isUndone(end.thrown))
      unknown = { thrown: end.thrown, leaderId };
    if (call.signal.aborted || clock.monotonicMs() >= deadlineMs)
      throw unknown === null ? options.noLeader() : wordsFor(unknown.thrown, unknown.leaderId);
    await nextLeadership(options, call.signal);
  }
}

/** Null: nobody leads. */
async function attempt<Result>(
  options: LeaderCallOptions,
  { leaderId, isLeader }: Leadership,
  call: LeaderCall<Result>,
): Promise<End<Result> | null> {
  if (leaderId === null) return null;
  const ask = (signal: AbortSignal): Promise<Result> =>
    isLeader ? call.local() : call.remote(options.peers.to(leaderId), signal);
  try {
    return { answer: await whileItLeads(options, leaderId, call.signal, ask) };
  } catch (thrown) {
    return { thrown };
  }
}

async function conclude<Result>(
  call: LeaderCall<Result>,
  end: End<Result>,
  wasLost: boolean,
  leaderId: string,
): Promise<void> {
  try {
    await call.conclude?.(end, wasLost);
  } catch (thrown) {
    throw wordsFor(new ClusterduckError("UNREACHABLE", messageOf(thrown), { cause: thrown }), leaderId);
  }
}

/**
 * Ends the call soon after its leader leads no more, be it this one: a leader that has lost its majority would wait
 * for one. What it has begun may still happen.
 */
async function whileItLeads<Result>(
  { log, clock }: LeaderCallOptions,
  leaderId: string,
  signal: AbortSignal,
  ask: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const superseded = new AbortController();
  const isOver = new Promise<never>((_resolve, reject) =>
    superseded.signal.addEventListener("abort", () => reject(superseded.signal.reason as Error)),
  );
  const giveUp = (): void =>
    superseded.abort(
      new ClusterduckError("STOPPING", `Coordinator "${leaderId}" no longer leads, and has not answered`),
    );
  const stay = (): void => undefined;
  let cancel = stay;
  const unsubscribe = log.onLeadership((now) => {
    if (now.leaderId === leaderId) {
      cancel();
      cancel = stay;
    } else if (cancel === stay) {
      cancel = clock.after(FAREWELL_MS, giveUp);
    }
  });
  try {
    return await Promise.race([ask(AbortSignal.any([signal, superseded.signal])), isOver]);
  } finally {
    unsubscribe();
    cancel();
  }
}

function mayTryAgain(thrown: unknown, { isRepeatable }: { readonly isRepeatable: boolean }): boolean {
  if (!(thrown instanceof ClusterduckError)) return false;
  return isUndone(thrown) || (isRepeatable && (thrown.code === "UNREACHABLE" || thrown.code === "STOPPING"));
}

/** Whether nothing has happened for certain. */
function isUndone(thrown: unknown): boolean {
  return (thrown instanceof ClusterduckError && thrown.code === "NOT_LEADER") || isUnsent(thrown);
}

function wordsFor(thrown: unknown, leaderId: string): unknown {
  if (!(thrown instanceof ClusterduckError)) return thrown;
  if (thrown.code !== "UNREACHABLE" && thrown.code !== "STOPPING") return thrown;
  return new ClusterduckError(
    "OUTCOME_UNKNOWN",
    `The leader, coordinator "${leaderId}", went away in the middle of this change (${thrown.message}): it may or may not have happened`,
    { cause: thrown, hint: "Look how things stand before you repeat it" },
  );
}

/** Resolves at the next change of leadership, or soon: an address may have become known. */
async function nextLeadership(options: LeaderCallOptions, signal: AbortSignal): Promise<void> {
  const changed = new AbortController();
  const unsubscribe = options.log.onLeadership(() => changed.abort());
  try {
    await options.clock.sleep(LOOK_AGAIN_MS, AbortSignal.any([changed.signal, signal]));
  } finally {
    unsubscribe();
  }
}
