/**
 * Faults that stay. SEEDS=100000 runs more seeds; SEED=7 replays one with its events:
 * SEED=7 node --import tsx --test test/simulation/raft/liveness.test.ts
 */
import { test } from "node:test";
import { runSeeds } from "./seeds.js";

test("as long as a quorum is well and connected, operations go on", (context) => {
  runSeeds(context, "liveness", 400);
});
