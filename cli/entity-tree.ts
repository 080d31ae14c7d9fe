import { ClusterduckError } from "../common/errors.js";
import type { Plain, PlainObject } from "../common/wire/plain.js";
import { stateWord } from "./listings.js";
import type { Session } from "./session.js";

/** Everything that lives, as one tree: clusters with their nodes, checks, triggers and balancers, and agents. */
export async function entityTree(session: Session): Promise<PlainObject> {
  const { control, call } = session;
  const [clusters, nodes, triggers, checks, agents] = await Promise.all([
    control.listClusters({}, call),
    control.listNodes({}, call),
    control.listTriggers({}, call),
    control.listChecks({}, call),
    control.listAgents({}, call),
  ]);
  return {
    clusters: Object.fromEntries(
      clusters.clusters.map((cluster) => [
        cluster.name,
        {
          type: cluster.type,
          nodes: Object.fromEntries(
            nodes.nodes
              .filter((node) => node.cluster === cluster.name)
              .map((node) => [node.addr, node.overlay === "" ? stateWord(node.state) : node.overlay]),
          ),
          checks: [
            ...new Set(
              checks.checks.filter((each) => each.cluster === cluster.name).map((each) => each.check),
            ),
          ],
          triggers: triggers.triggers.filter((each) => each.cluster === cluster.name).map((each) => each.id),
          balancers: cluster.balancers,
        },
      ]),
    ),
    agents: Object.fromEntries(agents.agents.map((agent) => [agent.id, agent.state])),
  };
}

/**
 * The part of a tree below a path.
 * @throws ClusterduckError NOT_FOUND that lists what there is instead.
 */
export function subtree(tree: PlainObject, path: readonly string[]): Plain {
  let at: Plain = tree;
  for (const step of path.flatMap((part) => splitStep(part))) {
    const isObject = typeof at === "object" && at !== null && !Array.isArray(at);
    if (!isObject || !Object.hasOwn(at as PlainObject, step)) {
      const there = isObject ? Object.keys(at as PlainObject) : [];
      throw new ClusterduckError(
        "NOT_FOUND",
        `Nothing named ${JSON.stringify(step)}: ${there.length === 0 ? "there is nothing below" : `there is ${there.join(", ")}`}`,
      );
    }
    at = (at as PlainObject)[step] ?? null;
  }
  return at;
}

/** `clusters/web/nodes` is three steps; `unix:/run/a.sock` is one. */
function splitStep(part: string): readonly string[] {
  return part.includes(":") ? [part] : part.split("/").filter((step) => step !== "");
}

/** A tree in indented lines. */
export function formatTree(tree: Plain, depth = 0): string {
  const indent = "  ".repeat(depth);
  if (Array.isArray(tree)) return tree.map((item) => `${indent}${formatScalar(item)}\n`).join("");
  if (typeof tree !== "object" || tree === null) return `${indent}${formatScalar(tree)}\n`;
  return Object.entries(tree)
    .map(([name, value]) => {
      const isBranch = typeof value === "object" && value !== null;
      return isBranch
        ? `${indent}${name}\n${formatTree(value, depth + 1)}`
        : `${indent}${name}  ${formatScalar(value)}\n`;
    })
    .join("");
}

function formatScalar(value: Plain): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
