import { readFileSync } from "node:fs";
import { systemClock, type Clock } from "../../common/clock.js";
import { openCanary } from "./canary.js";
import type { DoubtSigns } from "./self-doubt.js";

/** What the host tells about us; the schedule adds what it sees itself. */
export type HostSigns = Pick<DoubtSigns, "cpuPressure" | "canaryMs">;

export interface SelfDoubtSource {
  /** Asked about once a second; must not block. */
  sample(): HostSigns;
  close(): void;
}

const PRESSURE_FILE = "/proc/pressure/cpu";

/** The signs of this host: CPU pressure and an echo over loopback. */
export function createSelfDoubtSource(options: { readonly clock?: Clock } = {}): SelfDoubtSource {
  const clock = options.clock ?? systemClock;
  const canary = openCanary(() => clock.monotonicMs());
  return {
    sample: () => ({ cpuPressure: readCpuPressure(), canaryMs: canary.sample(clock.monotonicMs()) }),
    close: () => canary.close(),
  };
}

function readCpuPressure(): number {
  try {
    return parseCpuPressure(readFileSync(PRESSURE_FILE, "utf8"));
  } catch {
    // Kernels before 4.20 or with psi=0 keep no such file.
    return -1;
  }
}

/** The share of the last ten seconds in which some task waited for a CPU, percent; -1 when the text says nothing. */
export function parseCpuPressure(text: string): number {
  const match = /^some avg10=(\d+(?:\.\d+)?)/m.exec(text);
  return match === null ? -1 : Number(match[1]);
}
