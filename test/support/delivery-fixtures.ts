import type { ApplyOutcome, Bundle } from "../../common/model/delivery.js";

/** An order of a generation that holds no file, for tests of what happens to orders. */
export function bundleFixture(generation: string, changes: Partial<Bundle> = {}): Bundle {
  return {
    balancer: "front",
    kind: "haproxy",
    generation,
    files: [],
    fencing: { term: 1, index: 1 },
    isUrgent: false,
    ...changes,
  };
}

/** What an applier answers when all went well, unless `changes` say otherwise. */
export function outcomeOf(
  { balancer, generation, fencing }: Pick<Bundle, "balancer" | "generation" | "fencing">,
  changes: Partial<ApplyOutcome> = {},
): ApplyOutcome {
  return {
    balancer,
    wantedGeneration: generation,
    appliedGeneration: generation,
    observedGeneration: generation,
    error: "",
    warnings: [],
    method: "reload",
    durationMs: 1,
    fencing,
    ...changes,
  };
}
