/**
 * Whole tiers under every fault at once. SEEDS=100000 runs more seeds; SEED=7 replays one with its events:
 * SEED=7 node --import tsx --test test/simulation/raft/safety.test.ts
 */
import { test } from "node:test";
import { runSeeds } from "./seeds.js";

test("whatever goes wrong, nothing that was promised is broken, and all members recover", (context) => {
  runSeeds(context, "safety", 600);
});
