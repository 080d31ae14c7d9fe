import type { StateView } from "../state/model.js";
import type { BalancerLine, LedgerLine } from "./ledger.js";
import { LOCAL_TARGET } from "./start.js";

/**
 * The ledger as a coordinator shows it: the leader its own; any other what the leader has committed of the
 * agents' proxies, as it orders nothing from them itself, and its own for the proxy beside it.
 */
export function committedLedger(
  lines: readonly BalancerLine[],
  state: Pick<StateView, "deliveries" | "atMs">,
  isLeader: boolean,
): readonly BalancerLine[] {
  if (isLeader) return lines;
  return lines.map((line) => ({
    ...line,
    proxies: line.proxies.map((proxy) =>
      proxy.target === LOCAL_TARGET ? proxy : committedLine(line.name, proxy, state),
    ),
  }));
}

function committedLine(
  balancer: string,
  proxy: LedgerLine,
  { deliveries, atMs }: Pick<StateView, "deliveries" | "atMs">,
): LedgerLine {
  const known = deliveries.get(`${balancer}@${proxy.target}`);
  if (known === undefined) return { ...proxy, state: "pending", error: "" };
  const { appliedGeneration, wantedGeneration, error } = known;
  const isConverged = error === "" && appliedGeneration === proxy.wantedGeneration;
  const isFailed = error !== "" && wantedGeneration === proxy.wantedGeneration;
  return {
    ...proxy,
    appliedGeneration,
    observedGeneration: "",
    state: isConverged ? "converged" : isFailed ? "failed" : "pending",
    error: isFailed ? error : "",
    ageMs: Math.max(0, atMs - known.atMs),
  };
}
