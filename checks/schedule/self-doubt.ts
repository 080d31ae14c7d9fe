import type { SelfDoubt } from "../schedule.js";

const LEVEL_MAX = 8;

/** Signs taken about once a second. */
export type DoubtSigns = {
  readonly loopDelayP99Ms: number;
  /** "some avg10" of the kernel's CPU pressure in percent; -1 where the kernel does not tell. */
  readonly cpuPressure: number;
  /** Round trip over our own loopback connection; Infinity: it did not come back; null: there is no canary. */
  readonly canaryMs: number | null;
  /** Words for many targets lost at once; null: no such loss. */
  readonly massLoss: string | null;
};

export type SelfDoubtRules = {
  readonly loopDelayMs: number;
  readonly canaryMs: number;
  /**
   * CPU pressure counts only together with a loop that is late by `pressedLoopDelayMs`: a busy host whose
   * scheduler still serves us on time does not spoil what we see.
   */
  readonly cpuPressure: number;
  readonly pressedLoopDelayMs: number;
};
export const SELF_DOUBT_DEFAULTS: SelfDoubtRules = {
  loopDelayMs: 50,
  canaryMs: 250,
  cpuPressure: 60,
  pressedLoopDelayMs: 35,
};

export const NO_DOUBT: SelfDoubt = { level: 0, cause: "", loopDelayP99Ms: 0, cpuPressure: -1 };

/**
 * One step up while anything speaks against us, one step down while nothing does: the local health multiplier
 * of Lifeguard (Dadgar, Phillips, Currey, 2018), fed by what we see of ourselves instead of missed acks.
 */
export function stepSelfDoubt(doubt: SelfDoubt, signs: DoubtSigns, rules = SELF_DOUBT_DEFAULTS): SelfDoubt {
  const causes = causesOf(signs, rules);
  const level = Math.min(LEVEL_MAX, Math.max(0, doubt.level + (causes.length > 0 ? 1 : -1)));
  const cause = causes.length > 0 ? causes.join("; ") : level > 0 ? doubt.cause : "";
  return { level, cause, loopDelayP99Ms: signs.loopDelayP99Ms, cpuPressure: signs.cpuPressure };
}

function causesOf(signs: DoubtSigns, rules: SelfDoubtRules): readonly string[] {
  const { loopDelayP99Ms, cpuPressure, canaryMs, massLoss } = signs;
  const causes: string[] = [];
  if (loopDelayP99Ms > rules.loopDelayMs) causes.push(`event loop late by ${Math.round(loopDelayP99Ms)} ms`);
  if (cpuPressure > rules.cpuPressure && loopDelayP99Ms > rules.pressedLoopDelayMs) {
    causes.push(
      `CPU pressure ${Math.round(cpuPressure)} %, event loop late by ${Math.round(loopDelayP99Ms)} ms`,
    );
  }
  if (canaryMs === Infinity) causes.push("no echo on loopback");
  else if (canaryMs !== null && canaryMs > rules.canaryMs)
    causes.push(`echo on loopback after ${Math.round(canaryMs)} ms`);
  if (massLoss !== null) causes.push(massLoss);
  return causes;
}
