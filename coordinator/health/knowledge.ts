/**
 * What this coordinator heard, and from whom: the last report per node, observer and check. It judges
 * nothing. All times are this coordinator's monotonic milliseconds.
 */
import { nodeKey } from "../../common/model/node.js";
import type { NodeKey } from "../../common/model/node.js";
import type { Facts, ObservationReport } from "../../common/model/observation.js";

/** An agent, or this coordinator itself, as a source of observations. */
export type ObserverMemory = {
  readonly bootId: string;
  readonly isConnected: boolean;
  /** When it (re)connected or was lost. */
  readonly sinceMs: number;
  /** 0 (sure of itself) to 8; from `ABSTAIN_LEVEL` on it does not count. */
  readonly doubtLevel: number;
  readonly doubtCause: string;
};

/** One observer's last word on one check, with what led up to it. */
export type CheckMemory = {
  readonly report: ObservationReport;
  /** False after the observer restarted: from another life, until it has looked again. */
  readonly isVerified: boolean;
  /** When the unbroken row of answers, or of failures, began. */
  readonly sinceMs: number;
  /** The same outcome in a row; `report.consecutive` counts passed and degraded together. */
  readonly sameOutcome: number;
  /** When the unbroken row of refused connections began; null: not refused. */
  readonly refusedSinceMs: number | null;
  /** The newest facts; a report without any changes nothing about them. */
  readonly facts: Facts;
  /** When the process was seen to have exited; null once it answered again. */
  readonly exitedAtMs: number | null;
};

/**
 * An older report than the one known is dropped. Receipt minus age is exact but for the way it
 * travelled, and this much of that is forgiven. Milliseconds.
 */
const TRAVEL_SLACK_MS = 50;

const STRANGER: ObserverMemory = {
  bootId: "",
  isConnected: false,
  sinceMs: Number.NEGATIVE_INFINITY,
  doubtLevel: 0,
  doubtCause: "",
};

type ByObserver = Map<string, Map<string, CheckMemory>>;

/** Mutable and owned by one decider. */
export class Knowledge {
  readonly #observers = new Map<string, ObserverMemory>();
  readonly #nodes = new Map<NodeKey, ByObserver>();
  readonly #doubtedAtMs = new Map<NodeKey, number>();

  /** Takes in one report. False: it is older than what is known, and changed nothing. */
  receive(observer: string, report: ObservationReport): boolean {
    const key = nodeKey(report.node);
    if (report.isDoubt) {
      this.#doubtedAtMs.set(key, report.takenAtMs);
      return true;
    }
    const byObserver = getOrAdd(this.#nodes, key, () => new Map<string, Map<string, CheckMemory>>());
    const byCheck = getOrAdd(byObserver, observer, () => new Map<string, CheckMemory>());
    const before = byCheck.get(report.check);
    const isOld = before !== undefined && report.takenAtMs < before.report.takenAtMs - TRAVEL_SLACK_MS;
    if (isOld) return false;
    byCheck.set(report.check, remember(before, report));
    return true;
  }

  /** An observer is there. Another boot id means another process: what the last one said has to be seen again. */
  found(observer: string, bootId: string, nowMs: number): void {
    const before = this.#observers.get(observer) ?? STRANGER;
    const isRestarted = before.bootId !== "" && before.bootId !== bootId;
    if (before.isConnected && !isRestarted) return;
    const doubt = isRestarted ? { doubtLevel: 0, doubtCause: "" } : {};
    this.#observers.set(observer, { ...before, ...doubt, bootId, isConnected: true, sinceMs: nowMs });
    if (isRestarted) this.#distrust(observer);
  }

  lost(observer: string, nowMs: number): void {
    const before = this.#observers.get(observer) ?? STRANGER;
    this.#observers.set(observer, { ...before, isConnected: false, sinceMs: nowMs });
  }

  /** True when the change of its self-doubt can change a verdict. */
  doubts(observer: string, level: number, cause: string): boolean {
    const before = this.#observers.get(observer) ?? STRANGER;
    this.#observers.set(observer, { ...before, doubtLevel: level, doubtCause: cause });
    return before.doubtLevel !== level;
  }

  observer(id: string): ObserverMemory {
    return this.#observers.get(id) ?? STRANGER;
  }

  /** Every observer's memory of a node's checks. */
  of(key: NodeKey): ReadonlyMap<string, ReadonlyMap<string, CheckMemory>> {
    return this.#nodes.get(key) ?? NOTHING;
  }

  /** When an observer last found a reply of this node overdue; minus infinity: never. */
  doubtedAtMs(key: NodeKey): number {
    return this.#doubtedAtMs.get(key) ?? Number.NEGATIVE_INFINITY;
  }

  nodesOf(observer: string): readonly NodeKey[] {
    return [...this.#nodes].filter(([, byObserver]) => byObserver.has(observer)).map(([key]) => key);
  }

  /** The node left, or came back as another one. */
  forget(key: NodeKey): void {
    this.#nodes.delete(key);
    this.#doubtedAtMs.delete(key);
  }

  /** It was removed: what it said no longer counts. */
  forgetObserver(observer: string): void {
    this.#observers.delete(observer);
    for (const byObserver of this.#nodes.values()) byObserver.delete(observer);
  }

  #distrust(observer: string): void {
    for (const byObserver of this.#nodes.values()) {
      const byCheck = byObserver.get(observer);
      if (byCheck === undefined) continue;
      for (const [check, memory] of byCheck) byCheck.set(check, { ...memory, isVerified: false });
    }
  }
}

const NOTHING: ReadonlyMap<string, ReadonlyMap<string, CheckMemory>> = new Map();

/** passed and degraded answer; failed does not; inconclusive is neither. */
export function isAnswer(report: ObservationReport): boolean {
  return report.observation.outcome === "passed" || report.observation.outcome === "degraded";
}

function remember(before: CheckMemory | undefined, report: ObservationReport): CheckMemory {
  const known = before?.isVerified === true ? before : undefined;
  const isRowUnbroken =
    known !== undefined &&
    isAnswer(known.report) === isAnswer(report) &&
    report.consecutive > known.report.consecutive;
  const isSameOutcome = known?.report.observation.outcome === report.observation.outcome;
  const wasAnother = known !== undefined && !isSameOutcome;
  return {
    report,
    isVerified: true,
    sinceMs: isRowUnbroken ? known.sinceMs : report.takenAtMs,
    sameOutcome: wasAnother
      ? 1
      : isRowUnbroken
        ? known.sameOutcome + report.consecutive - known.report.consecutive
        : report.consecutive,
    refusedSinceMs: report.refusals === 0 ? null : (known?.refusedSinceMs ?? report.takenAtMs),
    facts: report.observation.facts ?? known?.facts ?? {},
    exitedAtMs: exitTime(known, report),
  };
}

/** A death is told once; it stays true until the node answers. */
function exitTime(known: CheckMemory | undefined, report: ObservationReport): number | null {
  if (isAnswer(report)) return null;
  return known?.exitedAtMs ?? (report.hasProcessExited ? report.takenAtMs : null);
}

function getOrAdd<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
