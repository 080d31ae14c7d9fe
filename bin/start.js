import { existsSync } from "node:fs";
import { setFlagsFromString } from "node:v8";

/**
 * How much garbage the heap may gather on top of what lives, percent. V8's own choice is up to four times the
 * living, which costs a host hundreds of megabytes to save one collection in ten seconds (bench/agent.ts).
 */
const HEAP_GROWING_PERCENT = 50;

/** Loads a built program. In a clone it is built by \`npm start\`, \`npm test\` or \`npm run build\`. */
export async function start(program) {
  const built = new URL(`../dist/${program}.js`, import.meta.url);
  if (!existsSync(built)) {
    process.stderr.write(`error: Cannot start ${program}: it is not built yet\n  run: npm run build\n`);
    process.exit(1);
  }
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  // Helper threads make a collection of a few megabytes shorter by a millisecond or two, and twice as expensive.
  setFlagsFromString("--no-parallel-scavenge");
  await import(built.href);
}
