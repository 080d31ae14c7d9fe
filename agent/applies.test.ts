import assert from "node:assert/strict";
import { test } from "node:test";
import type { Applier, ApplyOutcome, Bundle } from "../appliers/applier.js";
import { createLogger } from "../common/logger.js";
import { Applies } from "./applies.js";

function bundle(index: number): Bundle {
  return {
    balancer: "edge",
    kind: "haproxy",
    generation: `g${index}`,
    files: [],
    fencing: { term: 1, index },
    isUrgent: false,
  };
}

test("an order that fails again and again is logged when it begins, when the reason changes, and when it is over", async () => {
  const errors = ["disk full", "disk full", "no permission", "no permission", "", ""];
  const applier: Applier = {
    apply: ({ balancer, generation, fencing }) => {
      const error = errors.shift() ?? "";
      const applied = error === "" ? generation : "";
      const outcome: ApplyOutcome = {
        balancer,
        wantedGeneration: generation,
        appliedGeneration: applied,
        observedGeneration: applied,
        error,
        warnings: [],
        method: error === "" ? "reload" : "refused",
        durationMs: 1,
        fencing,
      };
      return Promise.resolve(outcome);
    },
    observe: () => Promise.resolve({ appliedGeneration: "", observedGeneration: "", error: "" }),
  };
  const lines: Record<string, unknown>[] = [];
  let nowMs = 0;
  let onOutcome: () => void = () => undefined;
  const applies = new Applies({
    appliers: new Map([["edge", applier]]),
    onOutcome: () => onOutcome(),
    logger: createLogger({
      program: "duck-agent",
      write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    }),
    clock: { monotonicMs: () => nowMs },
    signal: new AbortController().signal,
  });

  for (let index = 1; index <= 6; index++) {
    nowMs += 1_000;
    const settled = new Promise<void>((resolve) => (onOutcome = resolve));
    applies.offer(bundle(index));
    await settled;
  }

  assert.deepEqual(
    lines.map(({ event, error, failedForMs, attempts }) => [event, error, failedForMs, attempts]),
    [
      ["proxy.apply_failed", "disk full", 0, 1],
      ["proxy.apply_failed", "no permission", 2_000, 3],
      ["proxy.applied", "", 4_000, 4],
      ["proxy.applied", "", undefined, undefined],
    ],
  );
});
