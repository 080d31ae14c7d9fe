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
  const nodesOf = groupByCluster(nodes.nodes);
  const checksOf = groupByCluster(checks.checks);
  const triggersOf = groupByCluster(triggers.triggers);
  return {
    clusters: Object.fromEntries(
      clusters.clusters.map(({ name, type, balancers }) => [
        name,
        {
          type,
          nodes: Object.fromEntries(
            (nodesOf.get(name) ?? []).map((node) => [
              node.addr,
              node.overlay === "" ? stateWord(node.state) : node.overlay,
            ]),
          ),
          checks: [...new Set((checksOf.get(name) ?? []).map((each) => each.check))],
          triggers: (triggersOf.get(name) ?? []).map((each) => each.id),
          balancers,
        },
      ]),
    ),
    agents: Object.fromEntries(agents.agents.map((agent) => [agent.id, agent.state])),
  };
}

function groupByCluster<Item extends { readonly cluster: string }>(
  items: readonly Item[],
): ReadonlyMap<string, readonly Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const known = groups.get(item.cluster);
    if (known === undefined) groups.set(item.cluster, [item]);
    else known.push(item);
  }
  return groups;
}

/**
 * The part of a tree below a path: `clusters web nodes` and `clusters/web/nodes` alike. A list's entries are
 * steps too. Names may hold slashes, so the longest name that fits is taken.
 * @throws ClusterduckError NOT_FOUND that lists what there is instead.
 */
export function subtree(
  tree: PlainObject,
  path: readonly string[],
): { readonly tree: Plain; readonly at: readonly string[] } {
  let rest = path
    .map((part) => part.replace(/^\/+|\/+$/g, ""))
    .filter((part) => part !== "")
    .join("/");
  let here: Plain = tree;
  const at: string[] = [];
  while (rest !== "") {
    const names = stepsOf(here);
    const step = names
      .filter((name) => rest === name || rest.startsWith(`${name}/`))
      .sort((left, right) => right.length - left.length)[0];
    if (step === undefined) throw nothingNamed(rest, at, names);
    at.push(step);
    here = isBranch(here) ? (here[step] ?? null) : step;
    rest = rest.slice(step.length + 1);
  }
  return { tree: here, at };
}

/** The path of everything that has nothing below it, as `subtree` takes it. */
export function leafPaths(tree: Plain, at: readonly string[]): readonly string[] {
  const isEmptyBranch = isBranch(tree) && Object.keys(tree).length === 0;
  if (Array.isArray(tree)) return tree.map((item) => [...at, formatScalar(item)].join("/"));
  if (!isBranch(tree) || isEmptyBranch) return at.length === 0 || isEmptyBranch ? [] : [at.join("/")];
  return Object.entries(tree).flatMap(([name, below]) => leafPaths(below, [...at, name]));
}

function stepsOf(tree: Plain): readonly string[] {
  if (Array.isArray(tree)) return tree.map(formatScalar);
  return isBranch(tree) ? Object.keys(tree) : [];
}

function isBranch(tree: Plain): tree is PlainObject {
  return typeof tree === "object" && tree !== null && !Array.isArray(tree);
}

const NAMES_SHOWN = 8;

function nothingNamed(rest: string, at: readonly string[], names: readonly string[]): ClusterduckError {
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : "";
  const there = names.length === 0 ? "nothing" : `${names.slice(0, NAMES_SHOWN).join(", ")}${more}`;
  const place = at.length === 0 ? "" : ` below ${at.join("/")}`;
  return new ClusterduckError(
    "NOT_FOUND",
    `Nothing named ${JSON.stringify(rest)}${place}: there is ${there}`,
    {
      hint: ["duckctl ls", ...at].join(" "),
    },
  );
}

/** A tree in indented lines. */
export function formatTree(tree: Plain, depth = 0): string {
  const indent = "  ".repeat(depth);
  if (Array.isArray(tree)) return tree.map((item) => `${indent}${formatScalar(item)}\n`).join("");
  if (typeof tree !== "object" || tree === null) return `${indent}${formatScalar(tree)}\n`;
  return Object.entries(tree)
    .map(([name, value]) => {
      return typeof value === "object" && value !== null
        ? `${indent}${name}\n${formatTree(value, depth + 1)}`
        : `${indent}${name}  ${formatScalar(value)}\n`;
    })
    .join("");
}

function formatScalar(value: Plain): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
