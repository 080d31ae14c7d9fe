import type { CheckConfig, ClusterType } from "../../common/config/model.js";
import type { Clock } from "../../common/clock.js";
import { nodeKey, type NodeKey, type NodeRef } from "../../common/model/node.js";
import type { Observation, ObservationReport } from "../../common/model/observation.js";
import type { Random } from "../../common/random.js";
import type { Check } from "../check.js";
import { firstLookMs, nextCadence, retime, startCadence, type Cadence } from "./cadence.js";
import type { ProcessEvidence } from "./process-evidence.js";
import { brokenCheck, markSlow, Run, timedOut, type RunOwner } from "./run.js";
import type { StallLog } from "./stalls.js";
import { count, NO_STREAK, outcomeClass, REFUSAL_GAP_MS, type Streak } from "./streak.js";
import { fullBucket, takeToken, type TokenBucket } from "./token-bucket.js";
import * as rules from "./watch-rules.js";
import { wheelEntry, type TimingWheel } from "./wheel.js";

/** What a watch needs from the schedule around it. */
export type WatchHost = {
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: TimingWheel;
  readonly stalls: StallLog;
  /** 1 + the level of self-doubt: timeouts and intervals are this much longer. */
  stretch(): number;
  /** Calls `judge` of the run once the event loop has had its chance to read. */
  believeLater(run: Run): void;
  emit(watch: Watch, report: ObservationReport, isUrgent: boolean, nowMs: number): void;
  evidence(watch: Watch): { readonly state: ProcessEvidence; readonly detail: string };
  /** The service passes after it did not: whoever serves it may be new. */
  onAlive(watch: Watch): void;
  onRun(): void;
  onLateness(lateMs: number, nowMs: number): void;
  onTainted(): void;
  onFinished(watch: Watch): void;
};

export type WatchTarget = {
  readonly node: NodeRef;
  readonly epoch: number;
  readonly clusterType: ClusterType;
  readonly config: CheckConfig;
};

/** Lost connections closer together than this are one occasion to look. Milliseconds. */
const LOST_GAP_MS = 100;
/** How often and when to ask again whether a process that closed its socket has ended. Milliseconds. */
const EXIT_RETRIES_MS = [1, 2, 3, 5, 10, 20, 40, 80] as const;
/** Weight of a new latency in the smoothed one. */
const LATENCY_WEIGHT = 0.2;

/**
 * One check of one node over time: when it runs, what its outcomes add up to. Runs may overlap while a reply
 * is overdue; a timeout counts only when nothing answered since that run began, on any connection.
 */
export class Watch implements RunOwner {
  readonly target: WatchTarget;
  readonly nodeKey: NodeKey;
  readonly #host: WatchHost;
  readonly #makeCheck: (onConnectionLost: () => void) => Check;
  #config: CheckConfig;
  #check: Check | null = null;
  #streak: Streak = NO_STREAK;
  #last: ObservationReport | null = null;
  #runs: Run[] = [];
  /** One that ended in time. */
  #spareRun: Run | null = null;
  #cadence: Cadence | null = null;
  readonly #cadenceEntry = wheelEntry(() => this.#onCadence());
  readonly #lookEntry = wheelEntry(() => this.#onLook());
  #bucket: TokenBucket;
  #usualMs = 0;
  #lookedMs = -Infinity;
  #answeredMs = -Infinity;
  #lostMs = -Infinity;
  #probeUntilMs = -Infinity;
  /** Looks without a pass, in a row, since the probe began. */
  #fruitlessLooks = 0;
  #isDoubted = false;
  /** A run of the cadence was left out because one was outstanding: it follows as soon as that one ends. */
  #isOwed = false;
  #isEagerLook = false;
  #isClosed = false;
  #cancelExitRetry: (() => void) | null = null;

  constructor(host: WatchHost, target: WatchTarget, makeCheck: (onConnectionLost: () => void) => Check) {
    this.#host = host;
    this.target = target;
    this.nodeKey = nodeKey(target.node);
    this.#config = target.config;
    this.#makeCheck = makeCheck;
    this.#bucket = fullBucket(rules.recheckCapacity(target.config), host.clock.monotonicMs());
  }

  get last(): ObservationReport | null {
    return this.#last;
  }

  get isAssigned(): boolean {
    return this.#cadence !== null;
  }

  /**
   * Runs at the cadence from now on. Again with another config: only times and thresholds may differ.
   * `spreadMs`: the time over which the many that begin together do so.
   */
  assign(config: CheckConfig, spreadMs = 0): void {
    const { clock, random } = this.#host;
    const nowMs = clock.monotonicMs();
    const isRetimed = config.everyMs !== this.#config.everyMs;
    this.#config = config;
    if (this.#cadence === null) {
      const cadence = startCadence(config.everyMs, nowMs, random, spreadMs);
      this.#setCadence(cadence);
      const eagerMs = this.#last === null ? firstLookMs(cadence, nowMs, random, spreadMs) : null;
      if (eagerMs !== null && this.#lookEntry.tick === -1) {
        this.#isEagerLook = true;
        this.#host.wheel.set(this.#lookEntry, eagerMs);
      }
    } else if (isRetimed) {
      this.#setCadence(retime(this.#cadence, config.everyMs, nowMs, random));
    }
  }

  /** Nobody wants it any more: ends at once, or when a probe that still goes on is over. */
  release(): void {
    this.#cadence = null;
    this.#isOwed = false;
    this.#host.wheel.cancel(this.#cadenceEntry);
    if (this.#host.clock.monotonicMs() < this.#probeUntilMs) this.#wantLook(this.#host.clock.monotonicMs());
    else this.#host.onFinished(this);
  }

  /**
   * Looks at once and then at the fast interval, overlapping, for `durationMs`; at the interval of the check
   * once the service has stayed away for long enough. Asked for again meanwhile, it goes on as it is.
   */
  probe(durationMs: number): void {
    const nowMs = this.#host.clock.monotonicMs();
    const wasProbing = this.#isProbing(nowMs);
    this.#probeUntilMs = Math.max(this.#probeUntilMs, nowMs + durationMs);
    if (wasProbing && this.#probeGapMs() > this.#fastMs()) return;
    if (!wasProbing) this.#fruitlessLooks = 0;
    this.#onLook();
  }

  /** The connection went away between two looks: worth one at once, within bounds. */
  connectionLost(): void {
    const nowMs = this.#host.clock.monotonicMs();
    if (this.#isClosed || nowMs - this.#lostMs < LOST_GAP_MS || rules.isDown(this.#streak, this.#config))
      return;
    this.#lostMs = nowMs;
    const { state } = this.#host.evidence(this);
    if (state === "running") this.#askAgain(0);
    // Somebody who exits is news even when the looks of this incident are used up.
    if (
      this.#unanswered() < rules.looksAtOnce(this.#config) &&
      (this.#takeToken(nowMs) || state === "exited")
    ) {
      this.#start(nowMs);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelExitRetry?.();
    this.#host.wheel.cancel(this.#cadenceEntry);
    this.#host.wheel.cancel(this.#lookEntry);
    for (const run of this.#runs) this.#giveUp(run);
    this.#runs = [];
    this.#check?.close();
    this.#check = null;
  }

  onDue(run: Run): void {
    if (run.stage === "waiting" && this.#host.clock.monotonicMs() < run.startedMs + run.timeoutMs) {
      run.stage = "overdue";
      this.#host.wheel.set(run.entry, run.startedMs + run.timeoutMs);
      this.#onOverdue(run);
    } else {
      run.expire();
      this.#host.believeLater(run);
    }
  }

  /** The loop has read what there was. First the check is told, then, a moment later, it is a timeout. */
  judgeExpired(run: Run): void {
    if (run.stage === "expired") {
      run.stage = "aborted";
      run.abort();
      this.#host.believeLater(run);
    } else if (run.stage === "aborted") {
      this.#onTimeout(run, null);
    }
  }

  onSettled(run: Run, observation: Observation): void {
    const isAnswer = observation.outcome === "passed" || observation.outcome === "degraded";
    if (run.stage === "aborted" && !isAnswer) {
      this.#onTimeout(run, observation);
      return;
    }
    const isLate = run.stage !== "waiting";
    this.#forget(run);
    if (run.isReusable) this.#spareRun = run;
    const nowMs = this.#host.clock.monotonicMs();
    if (this.#isUnbelievable(run, observation)) {
      this.#afterMiss(nowMs);
      return;
    }
    const oldest = this.#runs.length === 0 ? undefined : this.#oldestUnanswered();
    if (isLate) this.#record(markSlow(observation, `answered after ${elapsed(run, nowMs)} ms`), nowMs);
    else if (oldest === undefined) this.#record(observation, nowMs);
    else
      this.#record(
        markSlow(observation, `an earlier look is unanswered for ${elapsed(oldest, nowMs)} ms`),
        nowMs,
      );
  }

  #onTimeout(run: Run, said: Observation | null): void {
    const nowMs = this.#host.clock.monotonicMs();
    this.#forget(run);
    const observation = timedOut(run, nowMs, said);
    if (this.#isUnbelievable(run, observation)) this.#afterMiss(nowMs);
    else this.#record(observation, nowMs);
  }

  /** A failure that a stall of ours may have made, or a miss of one connection while another answered. */
  #isUnbelievable(run: Run, observation: Observation): boolean {
    if (observation.outcome !== "failed") return false;
    if (this.#host.stalls.overlaps(run.startedMs)) {
      this.#host.onTainted();
      return true;
    }
    return observation.reason === "timedOut" && this.#answeredMs > run.startedMs;
  }

  #afterMiss(nowMs: number): void {
    if (this.#runs.length === 0 && this.#answeredMs < this.#lookedMs) this.#wantLook(nowMs);
    this.#payOwed(nowMs);
  }

  #record(observation: Observation, nowMs: number): void {
    const before = this.#last?.observation ?? null;
    const wasPassing = this.#streak.outcome === "passing";
    const outcome = outcomeClass(observation.outcome);
    this.#streak = count(this.#streak, observation, nowMs);
    if (outcome !== null) this.#isDoubted = false;
    this.#fruitlessLooks = outcome === "passing" ? 0 : this.#fruitlessLooks + 1;
    if (outcome === "passing") this.#onAnswer(observation, wasPassing, nowMs);
    const exit = rules.mayBeExit(observation) ? this.#exitWords() : null;
    const hasProcessExited = exit !== null;
    const seen = exit === null ? observation : withExit(observation, exit);
    const report = this.#report(seen, { hasProcessExited, isDoubt: false }, nowMs);
    const isNews = hasProcessExited && this.#last?.hasProcessExited !== true;
    this.#last = report;
    this.#host.emit(
      this,
      report,
      isNews || rules.isUrgent(before, observation, this.#streak, this.#config),
      nowMs,
    );
    if (rules.isSuspicious(this.#streak, this.#config)) this.#wantLook(this.#nextLookMs(observation, nowMs));
    if (outcome === "failing" && this.#streak.count === this.#config.fall) this.#hurryCadence(nowMs);
    this.#payOwed(nowMs);
  }

  #onAnswer(observation: Observation, wasPassing: boolean, nowMs: number): void {
    this.#answeredMs = nowMs;
    this.#usualMs += (observation.latencyMs - this.#usualMs) * (this.#usualMs === 0 ? 1 : LATENCY_WEIGHT);
    this.#cancelExitRetry?.();
    if (this.#isProbing(nowMs)) this.#wantLook(Math.max(nowMs, this.#lookedMs + this.#fastMs()));
    else if (this.isAssigned && !this.#isEagerLook) this.#host.wheel.cancel(this.#lookEntry);
    if (!wasPassing) this.#host.onAlive(this);
  }

  #report(
    observation: Observation,
    flags: { readonly hasProcessExited: boolean; readonly isDoubt: boolean },
    takenAtMs: number,
  ): ObservationReport {
    const { node, config } = this.target;
    const { count: consecutive, refusals } = this.#streak;
    return { node, check: config.id, observation, consecutive, refusals, takenAtMs, ...flags };
  }

  // Starting

  #onCadence(): void {
    const nowMs = this.#host.clock.monotonicMs();
    if (this.#cadence === null) return;
    this.#host.onLateness(nowMs - this.#cadenceDueMs, nowMs);
    const everyMs = rules.intervalMs(this.#streak, this.#config) * this.#host.stretch();
    this.#setCadence(nextCadence(this.#cadence, everyMs, nowMs, this.#host.random));
    if (this.#unanswered() === 0) this.#start(nowMs);
    else this.#isOwed = true;
  }

  #cadenceDueMs = 0;

  #setCadence(cadence: Cadence): void {
    this.#cadence = cadence;
    this.#host.wheel.set(this.#cadenceEntry, cadence.dueMs);
    this.#cadenceDueMs = this.#host.wheel.dueMsOf(this.#cadenceEntry);
  }

  /** The next run may have been planned when all was well, an interval for healthy checks ahead. */
  #hurryCadence(nowMs: number): void {
    if (this.#cadence === null || this.#config.failingEveryMs === undefined) return;
    const everyMs = this.#config.failingEveryMs * this.#host.stretch();
    const next = retime(this.#cadence, everyMs, nowMs, this.#host.random);
    if (next !== this.#cadence) this.#setCadence(next);
  }

  #payOwed(nowMs: number): void {
    if (!this.#isOwed || this.#unanswered() > 0) return;
    this.#isOwed = false;
    // While we look faster anyway, the run that was left out has long been made up for.
    if (!rules.isSuspicious(this.#streak, this.#config)) this.#start(nowMs);
  }

  #onOverdue(run: Run): void {
    const nowMs = this.#host.clock.monotonicMs();
    if (rules.isDown(this.#streak, this.#config) || this.#answeredMs > run.startedMs) return;
    if (
      !this.#isDoubted &&
      this.#streak.outcome !== "failing" &&
      !this.#host.stalls.overlaps(run.startedMs)
    ) {
      this.#isDoubted = true;
      const detail = `no answer for ${elapsed(run, nowMs)} ms`;
      const observation = {
        outcome: "inconclusive",
        reason: "slow",
        detail,
        latencyMs: nowMs - run.startedMs,
      } as const;
      this.#host.emit(
        this,
        this.#report(observation, { hasProcessExited: false, isDoubt: true }, nowMs),
        true,
        nowMs,
      );
    }
    this.#wantLook(nowMs);
  }

  #onLook(): void {
    const nowMs = this.#host.clock.monotonicMs();
    this.#host.wheel.cancel(this.#lookEntry);
    const isEager = this.#isEagerLook;
    this.#isEagerLook = false;
    const isProbing = this.#isProbing(nowMs);
    const gapMs = this.#probeGapMs();
    if (isProbing && !isEager && gapMs > this.#fastMs() && nowMs < this.#lookedMs + gapMs) {
      this.#wantLook(this.#nextProbeMs(nowMs, this.#lookedMs + gapMs));
      return;
    }
    if (!isProbing && !this.isAssigned) {
      if (this.#runs.length === 0) this.#host.onFinished(this);
      else this.#wantLook(nowMs + this.#fastMs());
      return;
    }
    const isOver = rules.isDown(this.#streak, this.#config);
    if (isOver && !isProbing && !isEager) return;
    const isWaiting = this.#unanswered() > 0 || rules.isSuspicious(this.#streak, this.#config);
    const hasRoom = this.#unanswered() < rules.looksAtOnce(this.#config);
    if (hasRoom && (isProbing || isEager || this.#takeToken(nowMs))) this.#start(nowMs);
    if (isProbing) this.#wantLook(this.#nextProbeMs(nowMs, nowMs + gapMs));
    else if (isWaiting && !isOver) this.#wantLook(nowMs + this.#fastMs());
  }

  #start(nowMs: number): void {
    if (this.#isClosed) return;
    this.#lookedMs = nowMs;
    this.#host.onRun();
    const check = this.#openCheck(nowMs);
    if (check === null) return;
    this.#dropOldest();
    const stretch = this.#host.stretch();
    const run = this.#newRun(nowMs, this.#config.timeoutMs * stretch);
    this.#runs.push(run);
    const overdueMs = Math.min(run.timeoutMs, rules.overdueAfterMs(this.#config, stretch, this.#usualMs));
    this.#host.wheel.set(run.entry, nowMs + overdueMs);
    run.start(check);
  }

  #newRun(nowMs: number, timeoutMs: number): Run {
    const spare = this.#spareRun;
    if (spare === null) return new Run(this, nowMs, timeoutMs);
    this.#spareRun = null;
    spare.reuse(nowMs, timeoutMs);
    return spare;
  }

  #openCheck(nowMs: number): Check | null {
    try {
      this.#check ??= this.#makeCheck(() => this.connectionLost());
    } catch (thrown) {
      this.#record(brokenCheck(thrown), nowMs);
    }
    return this.#check;
  }

  #wantLook(atMs: number): void {
    const { wheel } = this.#host;
    const isSooner = this.#lookEntry.tick === -1 || atMs < wheel.dueMsOf(this.#lookEntry);
    if (isSooner && !this.#isClosed) wheel.set(this.#lookEntry, atMs);
  }

  /** A refusal is quick and worth a second opinion as soon as it counts as one. */
  #nextLookMs(observation: Observation, nowMs: number): number {
    const isFirstRefusal =
      observation.outcome === "failed" && observation.reason === "refused" && this.#streak.refusals === 1;
    return isFirstRefusal
      ? this.#streak.refusedAtMs + REFUSAL_GAP_MS
      : Math.max(nowMs, this.#lookedMs + this.#fastMs());
  }

  #fastMs(): number {
    return rules.fastIntervalMs(this.#config, this.#host.stretch());
  }

  /** Between two looks of a probe. Milliseconds. */
  #probeGapMs(): number {
    const fastMs = this.#fastMs();
    if (this.#fruitlessLooks < rules.fruitlessLooksMax(this.#config)) return fastMs;
    return Math.max(fastMs, rules.intervalMs(this.#streak, this.#config) * this.#host.stretch());
  }

  /** The next look, or the end of the probe when that comes first: nothing of it stays longer. */
  #nextProbeMs(nowMs: number, dueMs: number): number {
    return Math.min(dueMs, Math.max(this.#probeUntilMs, nowMs + this.#fastMs()));
  }

  #isProbing(nowMs: number): boolean {
    return nowMs < this.#probeUntilMs;
  }

  #takeToken(nowMs: number): boolean {
    const perMs = rules.recheckRatePerMs(this.#config);
    return takeToken(this.#bucket, rules.recheckCapacity(this.#config), perMs, nowMs);
  }

  // Runs in the air

  /** One that is overdue while none that began later was answered. */
  #oldestUnanswered(): Run | undefined {
    return this.#runs.find((other) => other.stage !== "waiting" && other.startedMs >= this.#answeredMs);
  }

  /** How many runs are in the air that no answer has made pointless yet. */
  #unanswered(): number {
    let found = 0;
    for (const run of this.#runs) if (run.startedMs >= this.#answeredMs) found += 1;
    return found;
  }

  #forget(run: Run): void {
    run.stage = "over";
    this.#host.wheel.cancel(run.entry);
    const index = this.#runs.indexOf(run);
    if (index !== -1) this.#runs.splice(index, 1);
  }

  /** Runs that hang although others were answered must not pile up. */
  #dropOldest(): void {
    const oldest = this.#runs[0];
    if (oldest === undefined || this.#runs.length < rules.looksAtOnce(this.#config) + 1) return;
    this.#forget(oldest);
    oldest.abort();
  }

  #giveUp(run: Run): void {
    run.stage = "over";
    this.#host.wheel.cancel(run.entry);
    run.abort();
  }

  // Evidence of an exit

  /** How we know that the process has exited; null: we do not know that. */
  #exitWords(): string | null {
    const { state, detail } = this.#host.evidence(this);
    if (state === "running" && rules.isSuspicious(this.#streak, this.#config)) this.#askAgain(0);
    return state === "exited" ? detail : null;
  }

  /** A process closes its sockets a moment before it is gone. */
  #askAgain(attempt: number): void {
    const waitMs = EXIT_RETRIES_MS[attempt];
    this.#cancelExitRetry?.();
    this.#cancelExitRetry = null;
    if (waitMs === undefined) return;
    this.#cancelExitRetry = this.#host.clock.after(waitMs, () => {
      this.#cancelExitRetry = null;
      const { state, detail } = this.#host.evidence(this);
      if (state === "running") this.#askAgain(attempt + 1);
      else if (state === "exited") this.#onExited(detail);
    });
  }

  #onExited(detail: string): void {
    const nowMs = this.#host.clock.monotonicMs();
    if (this.#last === null || this.#streak.outcome !== "failing") this.#start(nowMs);
    else if (!this.#last.hasProcessExited && rules.mayBeExit(this.#last.observation)) {
      const observation = withExit(this.#last.observation, detail);
      this.#last = { ...this.#last, observation, hasProcessExited: true, takenAtMs: nowMs };
      this.#host.emit(this, this.#last, true, nowMs);
    }
  }
}

/** What was seen, and how we know that the process behind it has exited. */
function withExit(observation: Observation, detail: string): Observation {
  return observation.outcome === "failed"
    ? { ...observation, detail: `${observation.detail}; ${detail}` }
    : observation;
}

function elapsed(run: Run, nowMs: number): number {
  return Math.round(nowMs - run.startedMs);
}
