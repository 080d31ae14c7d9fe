import type { Command } from "commander";

import { ClusterduckError } from "../../common/errors.js";
import { parseAttributes } from "../attributes.js";
import type { AttributeValue } from "../attributes.js";
import { entityTree, formatTree, leafPaths, subtree } from "../entity-tree.js";
import { splitNode } from "../node-argument.js";
import { printData } from "../output/print.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";
import { editConfig } from "./config.js";
import { printChanged, removeNode, showNode } from "./nodes.js";

/** The original's words for what is spelled `nodes add` and so on now: fingers and scripts know them. */
export function addSeedCommands(program: Command, context: CommandContext): void {
  program
    .command("insert-node")
    .argument("<cluster>")
    .argument("<node>", 'an address, or {"addr": "host:port", "weight": 10}')
    .argument("[attributes...]", "NAME=VALUE")
    .description("as nodes add")
    .action((cluster: string, node: string, words: string[], _options, command: Command) =>
      inSession(context, command, async (session) => {
        const { addr, attributes } = readNode(node);
        const answer = await session.control.addNode(
          {
            node: { cluster, addr: splitNode(cluster, addr).addr },
            attributes: { ...attributes, ...parseAttributes(words) },
          },
          session.call,
        );
        printChanged(session, answer, "added");
      }),
    );

  program
    .command("delete-node")
    .argument("<cluster>")
    .argument("<addr>")
    .option("-y, --yes", "do not ask")
    .description("as nodes remove")
    .action((cluster: string, addr: string, options: { yes?: true }, command: Command) =>
      inSession(context, command, (session) => removeNode(session, cluster, addr, options.yes === true)),
    );

  program
    .command("node-info")
    .argument("<cluster>")
    .argument("<addr>")
    .description("as nodes get")
    .action((cluster: string, addr: string, _options, command: Command) =>
      inSession(context, command, (session) => showNode(session, cluster, addr)),
    );

  program
    .command("ls")
    .argument("[path...]", "as in clusters web nodes, or clusters/web/nodes; -o name prints paths")
    .description("print the live tree of clusters, nodes, checks, triggers, balancers and agents")
    .action((path: string[], _options, command: Command) =>
      inSession(context, command, async (session) => {
        const { io, format } = session;
        const { tree, at } = subtree(await entityTree(session), path);
        if (format === "json" || format === "yaml") printData(io, format, tree);
        else if (format === "name") for (const each of leafPaths(tree, at)) io.out(`${each}\n`);
        else io.out(formatTree(tree));
      }),
    );

  program
    .command("edit")
    .description("as config edit")
    .action((_options, command: Command) => inSession(context, command, editConfig));
}

/** @throws ClusterduckError INVALID_ARGUMENT for JSON that is not a node. */
function readNode(text: string): { addr: string; attributes: Record<string, AttributeValue> } {
  if (!text.trimStart().startsWith("{")) return { addr: text, attributes: {} };
  try {
    const { addr, ...attributes } = JSON.parse(text) as Record<string, AttributeValue>;
    if (typeof addr === "string") return { addr, attributes };
  } catch {
    // Falls through to the same error: what would work is the same.
  }
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Invalid node ${JSON.stringify(text)}: expected an address or JSON like {"addr": "10.0.0.1:80", "weight": 10}`,
  );
}
