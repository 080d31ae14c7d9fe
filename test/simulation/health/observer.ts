/** An observer that checks services as the real schedule does: cadence with jitter, quick looks after a miss. */
import type { Random } from "../../../common/random.js";
import { nodeKey } from "../../../common/model/node.js";
import type { NodeRef } from "../../../common/model/node.js";
import type { Observation, ObservationReport } from "../../../common/model/observation.js";
import { PASSED, REFUSED, TIMED_OUT, aReport } from "../../support/decision-fixtures.js";
import type { Timeline } from "./timeline.js";

export type Service = {
  readonly node: NodeRef;
  mode: "answers" | "hangs" | "dead";
  /** A supervisor tells its agent when it exits. */
  readonly isSupervised: boolean;
  /** When it last changed, for the invariants. */
  changedAtMs: number;
};

export type ObserverOptions = {
  readonly timeline: Timeline;
  readonly random: Random;
  /** Chance that one check of a live service times out. */
  readonly lossRate: () => number;
  /** Nothing answers this observer: it is cut off. */
  readonly isCutOff: () => boolean;
  /** Milliseconds a report travels. */
  readonly delayMs: () => number;
  readonly deliver: (reports: readonly ObservationReport[]) => void;
};

const EVERY_MS = 1_000;
const TIMEOUT_MS = 1_000;
const QUICK_MS = 250;
const REFUSED_AGAIN_MS = 105;

type Watch = {
  readonly service: Service;
  isAssigned: boolean;
  probedUntilMs: number;
  isPassing: boolean;
  consecutive: number;
  refusals: number;
  refusedAtMs: number;
  /** Only the newest planned look counts. */
  plan: number;
};

export class SimulatedObserver {
  readonly #options: ObserverOptions;
  readonly #watches = new Map<string, Watch>();
  #isStopped = false;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  assign(services: readonly Service[]): void {
    const wanted = new Set(services.map((service) => nodeKey(service.node)));
    for (const [key, watch] of this.#watches) watch.isAssigned = wanted.has(key);
    for (const service of services) {
      const watch = this.#watch(service);
      watch.isAssigned = true;
      if (watch.plan === 0) this.#plan(watch, this.#options.random() * EVERY_MS);
    }
  }

  probe(service: Service, durationMs: number): void {
    const watch = this.#watch(service);
    watch.probedUntilMs = this.#options.timeline.nowMs + durationMs;
    this.#plan(watch, 1);
  }

  /** The connection broke: look at once. */
  connectionLost(service: Service, hasExited: boolean): void {
    const watch = this.#watches.get(nodeKey(service.node));
    if (watch === undefined || watch.plan === 0) return;
    const delayMs = 1 + this.#options.random() * 4;
    this.#plan(watch, delayMs, hasExited);
  }

  stop(): void {
    this.#isStopped = true;
  }

  #watch(service: Service): Watch {
    const key = nodeKey(service.node);
    const known = this.#watches.get(key);
    if (known !== undefined) return known;
    const watch: Watch = {
      service,
      isAssigned: false,
      probedUntilMs: 0,
      isPassing: false,
      consecutive: 0,
      refusals: 0,
      refusedAtMs: Number.NEGATIVE_INFINITY,
      plan: 0,
    };
    this.#watches.set(key, watch);
    return watch;
  }

  #plan(watch: Watch, delayMs: number, hasExited = false): void {
    const plan = (watch.plan += 1);
    this.#options.timeline.in(delayMs, () => {
      if (this.#isStopped || watch.plan !== plan) return;
      this.#look(watch, plan, hasExited);
    });
  }

  #look(watch: Watch, plan: number, hasExited: boolean): void {
    const { timeline, random } = this.#options;
    const isWanted = watch.isAssigned || watch.probedUntilMs > timeline.nowMs;
    if (!isWanted) {
      watch.plan = 0;
      return;
    }
    const startedAtMs = timeline.nowMs;
    const outcome = this.#see(watch);
    const durationMs = outcome === TIMED_OUT ? TIMEOUT_MS : random() * 3;
    timeline.in(durationMs, () => {
      if (!this.#isStopped) this.#report(watch, outcome, hasExited && outcome === REFUSED);
    });
    const isMissed = outcome !== PASSED;
    const isRefused = outcome === REFUSED && watch.refusals < 2;
    const isQuick = (isMissed && watch.consecutive < 4) || watch.probedUntilMs > startedAtMs;
    const nextMs = isRefused ? REFUSED_AGAIN_MS : isQuick ? QUICK_MS : EVERY_MS * (0.9 + 0.2 * random());
    if (watch.plan === plan) this.#plan(watch, nextMs);
  }

  #see(watch: Watch): Observation {
    if (this.#options.isCutOff()) return TIMED_OUT;
    if (watch.service.mode === "hangs") return TIMED_OUT;
    if (watch.service.mode === "dead") return REFUSED;
    return this.#options.random() < this.#options.lossRate() ? TIMED_OUT : PASSED;
  }

  #report(watch: Watch, observation: Observation, hasProcessExited: boolean): void {
    const { timeline } = this.#options;
    const isPassing = observation === PASSED;
    watch.consecutive = watch.isPassing === isPassing ? watch.consecutive + 1 : 1;
    watch.isPassing = isPassing;
    if (observation !== REFUSED) watch.refusals = 0;
    else if (timeline.nowMs - watch.refusedAtMs >= 100 || watch.refusals === 0) {
      watch.refusals += 1;
      watch.refusedAtMs = timeline.nowMs;
    }
    const { consecutive, refusals } = watch;
    const report = aReport(watch.service.node, observation, timeline.nowMs, {
      consecutive,
      refusals,
      hasProcessExited,
    });
    timeline.in(this.#options.delayMs(), () => {
      if (!this.#isStopped) this.#options.deliver([report]);
    });
  }
}
