import { assertNever } from "../../../common/errors.js";
import type { BalancerView } from "../balancer-view.js";
import { hasControlCharacter, isName } from "./text.js";

/**
 * What makes a balancer impossible to render. A line that holds a control character is not left out but
 * stops everything: it may be the one that keeps strangers away.
 */
export function problemsOf(view: BalancerView): readonly string[] {
  const { balancer, clusters, missing } = view;
  const problems: string[] = [];
  for (const name of missing) problems.push(`cluster "${name}" does not exist`);
  if (clusters.length + missing.length === 0) problems.push("it has no clusters");
  for (const cluster of clusters) {
    if (!isName(cluster.name)) {
      problems.push(
        `cluster name ${JSON.stringify(cluster.name)} cannot name a backend: use letters, digits, "_", ".", ":" and "-"`,
      );
    }
    if (cluster.nodes.length === 0 && !balancer.mayBeEmpty) {
      problems.push(
        `cluster "${cluster.name}" has no nodes and an empty backend would refuse every request: ` +
          "add a node, or set may_be_empty on the balancer",
      );
    }
  }
  for (const [place, line] of linesOf(view)) {
    if (hasControlCharacter(line)) {
      problems.push(`${place} ${JSON.stringify(line)} holds a control character: write one line per entry`);
    }
  }
  return problems;
}

function linesOf({ balancer, clusters }: BalancerView): readonly (readonly [string, string])[] {
  const lines: [string, string][] = [];
  const add = (place: string, values: readonly string[]): void => {
    for (const value of values) lines.push([place, value]);
  };
  switch (balancer.mode) {
    case "marker":
      return [];
    case "file":
      add("global option", balancer.globalOptions);
      add("defaults option", balancer.defaultsOptions);
      add("stats socket", balancer.target?.statsSocket == null ? [] : [balancer.target.statsSocket]);
      for (const { name } of clusters) {
        const frontend = Object.hasOwn(balancer.frontends, name) ? balancer.frontends[name] : undefined;
        add(`bind of frontend "${name}"`, frontend?.bind ?? []);
        add(`option of frontend "${name}"`, frontend?.options ?? []);
      }
      break;
    case "include":
      break;
    default:
      return assertNever(balancer.mode);
  }
  add("algorithm", [balancer.algorithm]);
  add("backend option", balancer.backendOptions);
  return lines;
}
