import type { Clock } from "../../common/clock.js";
import type { Observation } from "../../common/model/observation.js";
import type { Check } from "../check.js";
import type { AfterReads } from "./late-judge.js";
import { brokenCheck, markSlow, Run, timedOut } from "./run.js";

export type LookOnceOptions = {
  readonly clock: Clock;
  readonly afterReads: AfterReads;
  readonly timeoutMs: number;
  readonly openCheck: () => Check;
};

/** One look on a connection of its own, which ends with it. Never rejects: a check that cannot run says so. */
export async function lookOnce(options: LookOnceOptions): Promise<Observation> {
  let check: Check;
  try {
    check = options.openCheck();
  } catch (thrown) {
    return brokenCheck(thrown);
  }
  try {
    return await look(check, options);
  } finally {
    check.close();
  }
}

function look(check: Check, { clock, afterReads, timeoutMs }: LookOnceOptions): Promise<Observation> {
  return new Promise((resolve) => {
    const startedMs = clock.monotonicMs();
    const finish = (run: Run, observation: Observation): void => {
      run.stage = "over";
      cancelTimer();
      resolve(observation);
    };
    const owner = {
      onDue: () => {},
      judgeExpired: (run: Run) => {
        if (run.stage === "over") return;
        if (run.stage === "aborted") {
          finish(run, timedOut(run, clock.monotonicMs(), null));
          return;
        }
        run.stage = "aborted";
        run.abort();
        afterReads(() => run.judge());
      },
      onSettled: (run: Run, observation: Observation) => {
        const isAnswer = observation.outcome === "passed" || observation.outcome === "degraded";
        const nowMs = clock.monotonicMs();
        if (run.stage === "aborted" && !isAnswer) finish(run, timedOut(run, nowMs, observation));
        else if (run.stage === "waiting") finish(run, observation);
        else finish(run, markSlow(observation, `answered after ${Math.round(nowMs - startedMs)} ms`));
      },
    };
    const run = new Run(owner, startedMs, timeoutMs);
    const cancelTimer = clock.after(timeoutMs, () => {
      run.expire();
      afterReads(() => run.judge());
    });
    run.start(check);
  });
}
