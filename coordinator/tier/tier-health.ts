/** Who of the tier answers, and what that means, in words. Pure: times are arguments. */
import { majorityOf } from "../../common/majority.js";
import type { Leadership, MemberTrouble, PeerProblem, PeerStatus } from "../log/replicated-log.js";

export type MemberHealth = {
  readonly id: string;
  readonly role: PeerStatus["role"];
  readonly address: string;
  readonly isSelf: boolean;
  /** `unknown`: this coordinator does not hear from it, because another one leads. */
  readonly state: "answers" | "missing" | "unknown";
  /** For how long nothing was heard, milliseconds; null where that is not known. */
  readonly silentMs: number | null;
  /** For how long it was not heard, whoever led meanwhile, milliseconds; null: never since the start, or not known. */
  readonly unheardMs: number | null;
  readonly matchIndex: number | null;
  /** As `PeerStatus.problem`. */
  readonly problem?: PeerProblem;
  /** What it says itself to be wrong with it: it is there, whether its log answers or not. Left out: nothing. */
  readonly trouble?: MemberTrouble;
};

export type TierView = {
  readonly selfId: string;
  readonly leadership: Leadership;
  readonly peers: readonly PeerStatus[];
  /** Since when nobody leads, or this coordinator does, milliseconds; before that it did not hear from all. */
  readonly sinceMs: number;
  /** What members say to be wrong with them, this one too; null: nothing that is known here. */
  readonly troubleOf?: (id: string) => MemberTrouble | null;
};

/** Silence that counts as missing: several heartbeats and an election. Milliseconds. */
export const MISSING_AFTER_MS = 3_000;

export function healthOf(view: TierView): readonly MemberHealth[] {
  return view.peers.map((peer) => {
    const isSelf = peer.id === view.selfId;
    const silentMs = isSelf ? 0 : silenceOf(peer, view);
    const state = silentMs === null ? "unknown" : silentMs < MISSING_AFTER_MS ? "answers" : "missing";
    const { id, role, address, matchIndex, problem } = peer;
    const unheardMs = silentMs === null || isSelf ? silentMs : peer.silentMs;
    const health = { id, role, address, isSelf, state, silentMs, unheardMs, matchIndex } as const;
    const trouble = view.troubleOf?.(id) ?? null;
    return {
      ...health,
      ...(problem === undefined ? {} : { problem }),
      ...(trouble === null ? {} : { trouble }),
    };
  });
}

/** What was last heard before everybody spoke to everybody says nothing. */
function silenceOf(peer: PeerStatus, { leadership, sinceMs }: TierView): number | null {
  const { isLeader, leaderId } = leadership;
  if (isLeader || leaderId === null) return Math.min(peer.silentMs ?? Infinity, sinceMs);
  return peer.id === leaderId ? (peer.silentMs ?? 0) : null;
}

export type QuorumView = {
  readonly voters: number;
  readonly answering: number;
  readonly needed: number;
};

export function quorumOf(members: readonly MemberHealth[]): QuorumView {
  const voters = members.filter(({ role }) => role === "voter");
  return {
    voters: voters.length,
    answering: voters.filter((voter) => voter.state === "answers" && !isHeldUp(voter)).length,
    needed: majorityOf(voters.length),
  };
}

/** Whether its log does not answer for a reason that it tells itself. */
export function isHeldUp({ state, isSelf, trouble }: MemberHealth): boolean {
  return trouble !== undefined && (isSelf || state === "missing");
}

/** `c2 (10.0.0.2:9910) has not answered since 19:24:05 UTC`. `nowMs`: Unix milliseconds. */
export function describeMissing(members: readonly MemberHealth[], nowMs: number): string {
  return members
    .filter(({ state }) => state === "missing")
    .map(({ id, address, silentMs, trouble }) => {
      const since = new Date(nowMs - (silentMs ?? 0)).toISOString().slice(11, 19);
      const name = `${id}${address === "" ? "" : ` (${address})`}`;
      return trouble === undefined
        ? `${name} has not answered since ${since} UTC`
        : `${name} is there, but does not take part since ${since} UTC (${trouble.kind})`;
    })
    .join(", ");
}

/** Without a leader nobody hears from those whose disks are full: each knows only of its own. */
const LOOK_AT_EACH =
  "one that runs all the same says what is wrong when it is asked itself (duckctl --server ADDRESS status)";

/** Why nobody leads, and what is to be done. `nowMs`: Unix milliseconds. */
export function describeNoLeader(
  members: readonly MemberHealth[],
  { term, selfId, nowMs }: { readonly term: number; readonly selfId: string; readonly nowMs: number },
): { readonly message: string; readonly hint: string } {
  const { voters, answering, needed } = quorumOf(members);
  if (members.length === 0) {
    return {
      message: `Coordinator "${selfId}" waits for the tier to make it a member`,
      hint: "Look at the tier's own view from another member: duckctl coordinators list",
    };
  }
  const refusing = members.filter(({ problem }) => problem !== undefined);
  const willing = members.filter((member) => !refusing.includes(member));
  const problem = refusing[0]?.problem;
  if (problem !== undefined && quorumOf(willing).answering < needed) {
    const { message, hint } = problem;
    const names = refusing.map(({ id }) => id).join(", ");
    return { message: `No leader in term ${term}: not with ${names}: ${message}`, hint };
  }
  if (!members.some(({ isSelf }) => isSelf)) {
    const names = members.map(({ id }) => id).join(", ");
    return {
      message: `No leader in term ${term}: Coordinator "${selfId}" is not among the members that its log names (${names}): it was removed from this tier, or was just let in and has yet to hear of it`,
      hint: `Ask another one: duckctl coordinators list; where ${selfId} is not there, stop it; or give it another id and an empty data directory, and let it join: duckctl tokens create NEW_ID`,
    };
  }
  const own = members.find(({ isSelf }) => isSelf)?.trouble;
  if (own !== undefined) {
    const others = describeMissing(members, nowMs);
    const more = others === "" ? "" : `; ${others}`;
    return {
      message: `No leader in term ${term}: Coordinator "${selfId}" itself takes no part. ${own.message}${more}`,
      hint: others === "" ? own.hint : `${own.hint}; of the others, ${LOOK_AT_EACH}`,
    };
  }
  if (answering >= needed) {
    return {
      message: `No leader in term ${term}: an election is under way, ${answering} of ${voters} voting coordinators answer`,
      hint: "Ask again in a moment",
    };
  }
  return {
    message: `No leader in term ${term}: ${describeMissing(members, nowMs)}; ${answering} of ${voters} voting coordinators ${answering === 1 ? "is" : "are"} there, ${needed} are needed`,
    hint: `Start those that are missing; ${LOOK_AT_EACH}; if their disks are lost for good: duck-coordinator recover-quorum`,
  };
}
