import type { Command } from "commander";

export type Candidate = { readonly word: string; readonly description: string };
export type LiveNames = {
  readonly clusters: readonly string[];
  /** `cluster/addr` */
  readonly nodes: readonly string[];
  /** `cluster/trigger` */
  readonly triggers: readonly string[];
  readonly balancers: readonly string[];
};

/**
 * What could stand where the cursor is: subcommands, options, values of options with choices, and the names
 * of live clusters and nodes.
 * @param words The words after the program's name; the last one is under way, possibly empty.
 */
export async function completionsFor(
  program: Command,
  words: readonly string[],
  names: () => Promise<LiveNames>,
): Promise<readonly Candidate[]> {
  const current = words.at(-1) ?? "";
  const { command, positionals, pendingOption } = walk(program, words.slice(0, -1));
  const candidates = await candidatesAt(command, { current, positionals, pendingOption, names });
  return candidates.filter(({ word }) => word.startsWith(current));
}

type Place = { command: Command; positionals: readonly string[]; pendingOption: string | null };

/** Follows the words that are complete down the tree of commands. */
function walk(program: Command, words: readonly string[]): Place {
  let command = program;
  let positionals: string[] = [];
  let pendingOption: string | null = null;
  for (const word of words) {
    if (pendingOption !== null) {
      pendingOption = null;
    } else if (word.startsWith("-")) {
      pendingOption = takesValue(command, word) ? word : null;
    } else {
      const child: Command | undefined = command.commands.find(
        (each) => each.name() === word || each.aliases().includes(word),
      );
      if (child === undefined) positionals.push(word);
      else [command, positionals] = [child, []];
    }
  }
  return { command, positionals, pendingOption };
}

async function candidatesAt(
  command: Command,
  place: Omit<Place, "command"> & { current: string; names: () => Promise<LiveNames> },
): Promise<readonly Candidate[]> {
  if (place.pendingOption !== null) {
    const choices =
      optionsOf(command).find((option) => isNamed(option, place.pendingOption ?? ""))?.argChoices ?? [];
    return choices.map((word) => ({ word, description: "" }));
  }
  if (place.current.startsWith("-")) {
    return optionsOf(command)
      .filter((option) => !option.hidden)
      .map((option) => ({ word: option.long ?? option.short ?? "", description: option.description }));
  }
  const visible = command.createHelp().visibleCommands(command);
  if (visible.length > 0)
    return visible.map((each) => ({ word: each.name(), description: each.description() }));
  return argumentCandidates(command, place.positionals, place.names);
}

async function argumentCandidates(
  command: Command,
  positionals: readonly string[],
  names: () => Promise<LiveNames>,
): Promise<readonly Candidate[]> {
  const argument = command.registeredArguments[positionals.length];
  if (argument === undefined) return [];
  if (argument.argChoices !== undefined)
    return argument.argChoices.map((word) => ({ word, description: "" }));
  const cluster = positionals[0];
  switch (argument.name()) {
    case "cluster":
      return (await names()).clusters.map((word) => ({ word, description: "cluster" }));
    case "cluster-or-node": {
      const { clusters, nodes } = await names();
      return [
        ...clusters.map((word) => ({ word, description: "cluster" })),
        ...nodes.map((word) => ({ word, description: "node" })),
      ];
    }
    case "balancer":
      return (await names()).balancers.map((word) => ({ word, description: "balancer" }));
    case "addr":
      return within((await names()).nodes, cluster).map((word) => ({ word, description: "node" }));
    case "trigger":
      return within((await names()).triggers, cluster).map((word) => ({ word, description: "trigger" }));
    default:
      return [];
  }
}

/** What stands below a cluster in names like `cluster/name`. */
function within(names: readonly string[], cluster: string | undefined): readonly string[] {
  const prefix = `${cluster ?? ""}/`;
  return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
}

/** The server that a command line under way names: its live names are wanted. */
export function serverIn(words: readonly string[]): string | undefined {
  for (const [at, word] of words.slice(0, -1).entries()) {
    if (word === "-s" || word === "--server") return words[at + 1];
    if (word.startsWith("--server=")) return word.slice("--server=".length);
  }
  return undefined;
}

function takesValue(command: Command, word: string): boolean {
  if (word.includes("=")) return false;
  return optionsOf(command).some((option) => isNamed(option, word) && (option.required || option.optional));
}

/** A command's own options and those of the commands above it. */
function optionsOf(command: Command): Command["options"] {
  return command.parent === null ? command.options : [...command.options, ...optionsOf(command.parent)];
}

function isNamed(option: Command["options"][number], word: string): boolean {
  return option.long === word || option.short === word;
}
