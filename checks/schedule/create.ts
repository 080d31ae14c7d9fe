import { systemClock, type Clock } from "../../common/clock.js";
import type { CheckConfig, ExecCommandConfig } from "../../common/config/model.js";
import { parseAddress } from "../../common/model/address.js";
import { nodeKey } from "../../common/model/node.js";
import type { Observation, ObservationReport } from "../../common/model/observation.js";
import type { Random } from "../../common/random.js";
import type { Check, CheckContext } from "../check.js";
import type { Schedule, ScheduledNode, ScheduleStats, SelfDoubt } from "../schedule.js";
import { spreadMs } from "./cadence.js";
import { RecentHistogram } from "./histogram.js";
import { afterTwoTurns, LateJudge, type AfterReads } from "./late-judge.js";
import { hostOf, isLocalHost, readLocalHosts } from "./local-hosts.js";
import { LossWatch, type RemoteTarget } from "./losses.js";
import { lookOnce } from "./look-once.js";
import type { ProcessWatcher } from "./process-evidence.js";
import { createProcessWatcher } from "./process-watcher.js";
import { ReportBatch } from "./report-batch.js";
import type { Run } from "./run.js";
import { NO_DOUBT, stepSelfDoubt, type SelfDoubtRules } from "./self-doubt.js";
import { createSelfDoubtSource, type SelfDoubtSource } from "./self-doubt-source.js";
import { PULSE_MS, StallLog } from "./stalls.js";
import { Watch, type WatchHost } from "./watch.js";
import { isSameCheck, watchKey } from "./watch-key.js";
import { TimingWheel, wheelEntry } from "./wheel.js";

export type ScheduleOptions = {
  readonly clock: Clock;
  readonly random: Random;
  readonly createCheck: (context: CheckContext) => Check;
  /** Commands that this process's own configuration allows to `exec` checks. */
  readonly execChecks: Readonly<Record<string, ExecCommandConfig>>;
  /** Gets batches; must not throw. */
  readonly onReports: (reports: readonly ObservationReport[]) => void;
  /** null: no evidence of exited processes. Left out: this host's, unless time is virtual. */
  readonly processWatcher?: ProcessWatcher | null;
  /** null: only what the schedule sees itself. Left out: this host's, unless time is virtual. */
  readonly selfDoubtSource?: SelfDoubtSource | null;
  /** From when on signs count against this observer. Default: SELF_DOUBT_DEFAULTS. */
  readonly selfDoubtRules?: SelfDoubtRules;
  /** Lets the event loop read before a timeout is believed. Only tests choose another. */
  readonly afterReads?: AfterReads;
};

/** How often an observer asks itself how it is. Milliseconds. */
const SELF_CHECK_MS = 1_000;

/** Runs checks at a fixed cadence and reports what they see. Owns the checks it makes, and `close` ends them. */
export function createSchedule(options: ScheduleOptions): Schedule {
  return new WheelSchedule(options);
}

class WheelSchedule implements Schedule {
  readonly #options: ScheduleOptions;
  readonly #clock: Clock;
  readonly #wheel: TimingWheel;
  readonly #stalls = new StallLog();
  readonly #batch: ReportBatch;
  readonly #judge: LateJudge<Run>;
  readonly #host: WatchHost;
  readonly #watches = new Map<string, Watch>();
  readonly #losses = new LossWatch();
  readonly #lateness = new RecentHistogram();
  readonly #loopDelay = new RecentHistogram();
  readonly #processes: ProcessWatcher | null;
  readonly #doubtSource: SelfDoubtSource | null;
  readonly #pulse = wheelEntry(() => this.#onPulse());
  readonly #selfCheck = wheelEntry(() => this.#onSelfCheck());
  #pulseDueMs = 0;
  #doubt: SelfDoubt = NO_DOUBT;
  #runs = 0;
  #tainted = 0;
  #isClosed = false;

  constructor(options: ScheduleOptions) {
    const { clock, random, onReports, afterReads = afterTwoTurns } = options;
    const isReal = clock === systemClock;
    this.#options = options;
    this.#clock = clock;
    this.#processes =
      options.processWatcher === undefined && isReal
        ? createProcessWatcher()
        : (options.processWatcher ?? null);
    this.#doubtSource =
      options.selfDoubtSource === undefined && isReal
        ? createSelfDoubtSource()
        : (options.selfDoubtSource ?? null);
    this.#wheel = new TimingWheel(clock, (lateMs, nowMs) => this.#stalls.onWake(lateMs, nowMs));
    this.#batch = new ReportBatch(this.#wheel, onReports);
    this.#judge = new LateJudge(afterReads, (run) => run.judge());
    this.#host = {
      clock,
      random,
      wheel: this.#wheel,
      stalls: this.#stalls,
      stretch: () => 1 + this.#doubt.level,
      believeLater: (run) => this.#judge.add(run),
      emit: (watch, report, isUrgent, nowMs) => this.#emit(watch, report, isUrgent, nowMs),
      evidence: (watch) =>
        this.#processes?.evidence(watch.target.node.addr) ?? {
          state: "unknown",
          detail: "processes are not watched",
        },
      onAlive: (watch) => this.#processes?.relearn(watch.target.node.addr),
      onRun: () => (this.#runs += 1),
      onLateness: (lateMs, nowMs) => this.#lateness.add(lateMs, nowMs),
      onTainted: () => (this.#tainted += 1),
      onFinished: (watch) => this.#end(watch),
    };
  }

  assign(nodes: readonly ScheduledNode[]): void {
    if (this.#isClosed) return;
    const wanted = new Map(
      nodes.flatMap((node) => node.checks.map((check) => [watchKey(node, check), { node, check }])),
    );
    for (const [key, watch] of this.#watches) {
      const want = wanted.get(key);
      if (want === undefined) {
        if (watch.isAssigned) watch.release();
      } else if (!isSameCheck(watch.target, want.node, want.check)) this.#end(watch);
    }
    const starting = [...wanted.keys()].filter((key) => this.#watches.get(key)?.isAssigned !== true).length;
    for (const [key, { node, check }] of wanted) {
      (this.#watches.get(key) ?? this.#open(key, node, check)).assign(check, spreadMs(starting));
    }
    this.#keepPulse();
    this.#learn(nodes);
  }

  probe(node: ScheduledNode, durationMs: number): void {
    if (this.#isClosed) return;
    for (const check of node.checks) {
      const key = watchKey(node, check);
      const known = this.#watches.get(key);
      (known ?? this.#open(key, node, check)).probe(durationMs);
    }
    this.#keepPulse();
  }

  runOnce(node: ScheduledNode, check: CheckConfig): Promise<Observation> {
    return lookOnce({
      clock: this.#clock,
      afterReads: this.#options.afterReads ?? afterTwoTurns,
      timeoutMs: check.timeoutMs * this.#host.stretch(),
      openCheck: () => this.#makeCheck(node, check, () => {}),
    });
  }

  latest(): readonly ObservationReport[] {
    return [...this.#watches.values()].flatMap((watch) => (watch.last === null ? [] : [watch.last]));
  }

  selfDoubt(): SelfDoubt {
    return this.#doubt;
  }

  stats(): ScheduleStats {
    const nowMs = this.#clock.monotonicMs();
    return {
      checks: this.#watches.size,
      runs: this.#runs,
      latenessP50Ms: this.#lateness.percentile(0.5, nowMs),
      latenessP99Ms: this.#lateness.percentile(0.99, nowMs),
      tainted: this.#tainted,
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#batch.close();
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    this.#wheel.close();
    this.#processes?.close();
    this.#doubtSource?.close();
  }

  #open(key: string, node: ScheduledNode, config: CheckConfig): Watch {
    const { epoch, clusterType } = node;
    const target = { node: node.node, epoch, clusterType, config };
    const watch = new Watch(this.#host, target, (onConnectionLost) =>
      this.#makeCheck(node, config, onConnectionLost),
    );
    this.#watches.set(key, watch);
    return watch;
  }

  #end(watch: Watch): void {
    this.#watches.delete(watchKey(watch.target, watch.target.config));
    watch.close();
  }

  #makeCheck(node: ScheduledNode, config: CheckConfig, onConnectionLost: () => void): Check {
    return this.#options.createCheck({
      node: node.node,
      address: parseAddress(node.node.addr),
      clusterType: node.clusterType,
      config,
      execChecks: this.#options.execChecks,
      onConnectionLost,
    });
  }

  #emit(watch: Watch, report: ObservationReport, isUrgent: boolean, nowMs: number): void {
    this.#losses.onReport(watch.nodeKey, report);
    this.#batch.add(report, isUrgent, nowMs);
  }

  /** Which nodes stand on this host, and which hosts there are besides. */
  #learn(nodes: readonly ScheduledNode[]): void {
    const local = readLocalHosts();
    const remote = new Map<string, RemoteTarget>();
    const addresses = new Set<string>();
    for (const { node, zone } of nodes) {
      const host = hostOf(parseAddress(node.addr));
      addresses.add(node.addr);
      if (!isLocalHost(host, local)) remote.set(nodeKey(node), { host, zone: zone ?? null });
    }
    this.#losses.setTargets(remote);
    this.#processes?.watch([...addresses]);
  }

  // How we are ourselves

  #keepPulse(): void {
    if (this.#pulse.tick !== -1 || this.#watches.size === 0) return;
    const nowMs = this.#clock.monotonicMs();
    this.#setPulse(nowMs);
    if (this.#selfCheck.tick === -1) this.#wheel.set(this.#selfCheck, nowMs + SELF_CHECK_MS);
  }

  #setPulse(nowMs: number): void {
    this.#wheel.set(this.#pulse, nowMs + PULSE_MS);
    this.#pulseDueMs = this.#wheel.dueMsOf(this.#pulse);
  }

  #onPulse(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#loopDelay.add(nowMs - this.#pulseDueMs, nowMs);
    if (this.#watches.size > 0) this.#setPulse(nowMs);
  }

  #onSelfCheck(): void {
    const nowMs = this.#clock.monotonicMs();
    const signs = this.#doubtSource?.sample() ?? { cpuPressure: -1, canaryMs: null };
    const loopDelayP99Ms = this.#loopDelay.percentile(0.99, nowMs);
    const seen = { ...signs, loopDelayP99Ms, massLoss: this.#losses.massLoss(nowMs) };
    this.#doubt = stepSelfDoubt(this.#doubt, seen, this.#options.selfDoubtRules);
    if (this.#watches.size > 0 || this.#doubt.level > 0)
      this.#wheel.set(this.#selfCheck, nowMs + SELF_CHECK_MS);
  }
}
