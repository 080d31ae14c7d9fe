import type { TestContext } from "node:test";

import { systemClock } from "../../common/clock.js";
import type { CheckType, JsonObject } from "../../common/config/model.js";
import { formatAddress } from "../../common/model/address.js";
import type { Address } from "../../common/model/address.js";
import type { Observation } from "../../common/model/observation.js";
import type { Check, CheckContext } from "../../checks/check.js";
import { atEnd } from "./at-end.js";

/** A check that is closed when the test ends. */
export function makeCheck<Made extends Check>(
  t: Pick<TestContext, "after">,
  create: (context: CheckContext) => Made,
  given: Parameters<typeof checkContext>[0],
): Made {
  const made = create(checkContext(given));
  atEnd(t, () => made.close());
  return made;
}

/** What a check gets to know, for tests of one check. */
export function checkContext(given: {
  readonly type: CheckType;
  readonly address: Address;
  readonly options: JsonObject;
  readonly timeoutMs?: number | undefined;
  readonly onConnectionLost?: (() => void) | undefined;
}): CheckContext {
  return {
    node: { cluster: "web", addr: formatAddress(given.address) },
    address: given.address,
    clusterType: "http",
    config: {
      id: given.type,
      type: given.type,
      options: given.options,
      everyMs: 1_000,
      timeoutMs: given.timeoutMs ?? 2_000,
      fall: 3,
      rise: 2,
    },
    execChecks: {},
    onConnectionLost: given.onConnectionLost ?? (() => undefined),
  };
}

/** Runs a check once, aborting it at the timeout as the schedule does. */
export async function runOnce(check: Check, timeoutMs = 2_000): Promise<Observation> {
  const controller = new AbortController();
  const cancel = systemClock.after(timeoutMs, () => controller.abort());
  try {
    return await check.run(controller.signal);
  } finally {
    cancel();
  }
}

/** An observation in a word or two: `passed`, `failed/refused`. */
export function summary(observation: Observation): string {
  return observation.outcome === "passed" ? "passed" : `${observation.outcome}/${observation.reason}`;
}

/** An observation without its latency, which no test can know. */
export function gist(observation: Observation): Record<string, unknown> {
  return Object.fromEntries(Object.entries(observation).filter(([key]) => key !== "latencyMs"));
}
