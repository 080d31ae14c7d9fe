import type { RunRecord } from "../state/model.js";
import type { RunPlace } from "../triggers/queue.js";
import type { Presence } from "./report-desk.js";

/** Of a run that does not say how long it may take; none of this version. Milliseconds. */
const LIMIT_MS = 60_000;

export type OwnersView = {
  readonly ownId: string;
  readonly isLeader: boolean;
  /** Of another coordinator, while this one leads. */
  readonly presenceOf: (id: string) => Presence | undefined;
  /** How long this coordinator leads, milliseconds: before, nobody reported to it. */
  readonly leadingMs: number;
  readonly nowMs: number;
};

/**
 * Who settles a started run. Whoever began it knows best, also after a restart: its host goes on with the command and
 * keeps the outcome. One that is away may come back until its command must have ended; only then is the run lost, so
 * that no later one of the same trigger, and no other attempt, overlaps with it. Pure.
 */
export function placeOfRun(run: Pick<RunRecord, "startedBy" | "limitMs">, view: OwnersView): RunPlace {
  const ownerId = /^coordinator:(.+)#[^#]+$/.exec(run.startedBy ?? "")?.[1];
  if (ownerId === view.ownId) return "here";
  if (!view.isLeader) return "elsewhere";
  // Begun before there was a tier: by the one that became the first of it.
  if (ownerId === undefined) return "here";
  const presence = view.presenceOf(ownerId);
  if (presence?.isConnected === true) return "elsewhere";
  const absentMs = Math.min(
    view.leadingMs,
    presence === undefined ? Infinity : view.nowMs - presence.sinceMs,
  );
  return absentMs < (run.limitMs ?? LIMIT_MS) ? "elsewhere" : "lost";
}
