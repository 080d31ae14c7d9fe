/**
 * A wall clock that can be set on a running program, and on that one only: the machine's stays as it is. The
 * monotonic clock goes on, as it does when somebody sets a host's clock.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { until } from "./until.js";

export type ShiftedClock = {
  /** For the program to be started with. */
  readonly env: Readonly<Record<string, string>>;
  /** So many milliseconds from the truth; resolves when it is so in the program. */
  readonly set: (program: { signal(signal: NodeJS.Signals): void }, shiftMs: number) => Promise<void>;
};

const SIGNAL = "SIGUSR2";

/** @param file where the shift stands, and beside it what the program has taken. */
export function shiftedClock(file: string): ShiftedClock {
  const taken = `${file}.taken`;
  writeFileSync(file, "0");
  // Runs inside of the program, before anything else.
  const code = `
import { readFileSync, writeFileSync } from "node:fs";
const Real = Date;
let shiftMs = 0;
globalThis.Date = class Date extends Real {
  constructor(...args) {
    if (args.length === 0) super(Real.now() + shiftMs);
    else super(...args);
  }
  static now() {
    return Real.now() + shiftMs;
  }
};
process.on(${JSON.stringify(SIGNAL)}, () => {
  shiftMs = Number(readFileSync(${JSON.stringify(file)}, "utf8"));
  writeFileSync(${JSON.stringify(taken)}, String(Date.now() - Real.now()));
});
`;
  return {
    env: { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(code)}` },
    set: async (program, shiftMs) => {
      writeFileSync(file, String(shiftMs));
      program.signal(SIGNAL);
      const isTaken = (): boolean =>
        existsSync(taken) && Math.abs(Number(readFileSync(taken, "utf8")) - shiftMs) < 1_000;
      await until(isTaken, `the program's clock is ${shiftMs} ms off`);
    },
  };
}
