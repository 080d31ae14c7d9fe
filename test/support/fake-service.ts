import type { Check, CheckContext } from "../../checks/check.js";
import type { Clock } from "../../common/clock.js";
import type { CheckConfig } from "../../common/config/model.js";
import type { ScheduledNode } from "../../common/model/assignment.js";
import type { Observation, Reason } from "../../common/model/observation.js";

/** silent: takes requests and answers once it is no longer silent, like a stopped process. lost: never. */
export type FakeMode = "passing" | "silent" | "lost" | Reason;

/** A service in virtual time, and the checks that look at it. */
export class FakeService {
  mode: FakeMode = "passing";
  latencyMs = 1;
  /** When each run began. */
  readonly startedMs: number[] = [];
  readonly contexts: CheckContext[] = [];
  closed = 0;
  aborted = 0;
  outstanding = 0;
  mostOutstanding = 0;
  /** Thrown by the factory while set. */
  broken: Error | null = null;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  readonly #lost = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly createCheck = (context: CheckContext): Check => {
    if (this.broken !== null) throw this.broken;
    this.contexts.push(context);
    return { run: (signal) => this.#run(signal), close: () => (this.closed += 1) };
  };

  /** The stopped process goes on: everything that waited is answered. */
  resume(): void {
    this.mode = "passing";
    for (const answer of [...this.#waiting]) answer();
  }

  /** Requests that were lost are answered after all. */
  answerLost(): void {
    for (const answer of [...this.#lost]) answer();
  }

  #run(signal: AbortSignal): Promise<Observation> {
    const startedMs = this.#clock.monotonicMs();
    this.startedMs.push(startedMs);
    this.outstanding += 1;
    this.mostOutstanding = Math.max(this.mostOutstanding, this.outstanding);
    const mode = this.mode;
    return new Promise((resolve) => {
      let isOver = false;
      const finish = (observation: Observation): void => {
        if (isOver) return;
        isOver = true;
        this.#waiting.delete(answer);
        this.#lost.delete(answer);
        this.outstanding -= 1;
        signal.removeEventListener("abort", onAbort);
        resolve(observation);
      };
      const answer = (): void =>
        finish({ outcome: "passed", latencyMs: this.#clock.monotonicMs() - startedMs });
      const onAbort = (): void => {
        this.aborted += 1;
        finish({ outcome: "failed", reason: "closed", detail: "given up", latencyMs: 0 });
      };
      signal.addEventListener("abort", onAbort);
      if (mode === "passing") this.#clock.after(this.latencyMs, answer);
      else if (mode === "silent") this.#waiting.add(answer);
      else if (mode === "lost") this.#lost.add(answer);
      else {
        this.#clock.after(this.latencyMs, () => {
          finish({ outcome: "failed", reason: mode, detail: mode, latencyMs: this.latencyMs });
        });
      }
    });
  }
}

export function fakeCheckConfig(over: Partial<CheckConfig> = {}): CheckConfig {
  return {
    id: "basic",
    type: "basic",
    options: {},
    everyMs: 1_000,
    timeoutMs: 1_000,
    fall: 3,
    rise: 2,
    ...over,
  };
}

export function fakeNode(addr = "10.0.0.1:6379", over: Partial<ScheduledNode> = {}): ScheduledNode {
  const node = { cluster: "cache", addr };
  return { node, epoch: 1, clusterType: "redis", checks: [fakeCheckConfig()], ...over };
}
