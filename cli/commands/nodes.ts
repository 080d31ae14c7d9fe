import { Option } from "commander";
import type { Command } from "commander";

import { ClusterduckError } from "../../common/errors.js";
import { NodeSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { Node } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { parseAttributes } from "../attributes.js";
import { confirmCapacity } from "../confirm.js";
import { describeNode } from "../describe-node.js";
import { NODES, stateWord } from "../listings.js";
import { resolveNode, resolveScope, splitNode } from "../node-argument.js";
import { durationOption } from "../options.js";
import { printData, printList, printOne } from "../output/print.js";
import type { Session } from "../session.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

const STATES = ["healthy", "degraded", "down", "unknown"] as const;
type ListOptions = { readonly state?: (typeof STATES)[number] };

const NODE_HELP = "node: CLUSTER ADDR, CLUSTER/ADDR, or ADDR alone where only one cluster has it";

export function addNodeCommands(program: Command, context: CommandContext): void {
  const nodes = program.command("nodes").alias("node").description("the service instances traffic goes to");

  nodes
    .command("list")
    .alias("ls")
    .argument("[cluster-or-node]")
    .argument("[addr]")
    .description("list nodes")
    .addOption(new Option("--state <state>", "only nodes in this state").choices(STATES))
    .action((first: string | undefined, second: string | undefined, options: ListOptions, command: Command) =>
      inSession(context, command, async (session) => {
        const scope = await resolveScope(session, first, second);
        const { nodes } = await session.control.listNodes(scope, session.call);
        const { state } = options;
        const wanted = state === undefined ? nodes : nodes.filter((node) => stateWord(node.state) === state);
        printList(session.io, session.format, NODES, wanted);
      }),
    );

  nodes
    .command("get")
    .argument("<cluster-or-node>")
    .argument("[addr]")
    .description("show one node")
    .addHelpText("after", `\n${NODE_HELP}`)
    .action((first: string, second: string | undefined, _options, command: Command) =>
      inSession(context, command, async (session) => showNode(session, first, second)),
    );

  nodes
    .command("add")
    .argument("<cluster>")
    .argument("<addr>", "host:port, [v6]:port or unix:/path")
    .argument("[attributes...]", "NAME=VALUE, as in weight=10 backup=true")
    .description("add a node to a cluster")
    .option("--if-absent", "succeed when the node is there already with the same attributes")
    .action(
      (cluster: string, addr: string, words: string[], options: { ifAbsent?: true }, command: Command) =>
        inSession(context, command, async (session) => {
          const written = splitNode(cluster, addr);
          const answer = await session.control.addNode(
            {
              node: { cluster, addr: written.addr },
              attributes: parseAttributes(words),
              isIdempotent: options.ifAbsent === true,
            },
            session.call,
          );
          printChanged(session, answer, answer.isUnchanged ? "is there already" : "added");
        }),
    );

  nodes
    .command("remove")
    .alias("rm")
    .argument("<cluster-or-node>")
    .argument("[addr]")
    .description("remove a node from its cluster")
    .option("-y, --yes", "do not ask")
    .addHelpText("after", `\n${NODE_HELP}`)
    .action((first: string, second: string | undefined, options: { yes?: true }, command: Command) =>
      inSession(context, command, (session) => removeNode(session, first, second, options.yes === true)),
    );

  addIntent("enable", "end any overlay: traffic follows the node's state again", {
    done: "enabled",
    unchanged: "is enabled already",
  });
  addIntent("disable", "take a node out of rotation until it is enabled", {
    done: "disabled",
    unchanged: "is disabled already",
  });
  addIntent("drain", "let a node's sessions end: no new ones go to it", {
    done: "draining",
    unchanged: "is draining already",
  });
  addIntent("undrain", "end a drain", { done: "undrained", unchanged: "is not draining" });
  addIntent("maintenance", "take a node out of rotation for planned work", {
    done: "under maintenance",
    unchanged: "is under maintenance already",
  });

  function addIntent(
    intent: string,
    description: string,
    words: { readonly done: string; readonly unchanged: string },
  ): void {
    const takesAway = ["disable", "drain", "maintenance"].includes(intent);
    const command = nodes
      .command(intent)
      .argument("<cluster-or-node>")
      .argument("[addr]")
      .description(description)
      .addHelpText("after", `\n${NODE_HELP}`);
    if (takesAway) {
      command
        .option("--reason <text>", "shown to everybody who asks about the node")
        .addOption(durationOption("--for <duration>", "end by itself after this time, as in 30m"))
        .option("-y, --yes", "do not ask");
    }
    command.action((first: string, second: string | undefined, options: IntentOptions, self: Command) =>
      inSession(context, self, async (session) => {
        const node = await resolveNode(session, first, second);
        if (takesAway) await confirmCapacity(session, node, { verb: intent, isAgreed: options.yes === true });
        const answer = await session.control.setNodeIntent(
          { node, intent, reason: options.reason ?? "", durationMs: options.for ?? 0 },
          session.call,
        );
        printChanged(session, answer, answer.isUnchanged ? words.unchanged : words.done);
        if (!takesAway) warnOfOverlay(session, answer.node);
      }),
    );
  }
}

type IntentOptions = { readonly reason?: string; readonly for?: number; readonly yes?: true };

/** `undrain` does not end a maintenance: whoever expects traffic now should know. */
function warnOfOverlay(session: Session, node: Node | undefined): void {
  if (node === undefined || node.overlay === "") return;
  const reason = node.overlayReason === "" ? "" : ` (${node.overlayReason})`;
  session.io.err(`warning: No traffic goes to it: ${node.overlay}${reason}\n`);
  session.io.err(`  try: duckctl nodes enable ${NODES.name(node)}\n`);
}

export async function showNode(session: Session, first: string, second: string | undefined): Promise<void> {
  const ref = await resolveNode(session, first, second);
  const { nodes } = await session.control.listNodes(ref, session.call);
  const [node] = nodes;
  if (node === undefined) throw new ClusterduckError("NOT_FOUND", `No node ${ref.cluster}/${ref.addr}`);
  printOne(session.io, session.format, {
    schema: NodeSchema,
    message: node,
    name: NODES.name(node),
    forPeople: () => describeNode(node, session.io),
  });
}

export async function removeNode(
  session: Session,
  first: string,
  second: string | undefined,
  isAgreed: boolean,
): Promise<void> {
  const node = await resolveNode(session, first, second);
  await confirmCapacity(session, node, { verb: "remove", isAgreed });
  const { index } = await session.control.removeNode({ node }, session.call);
  const { io, format } = session;
  const name = `${node.cluster}/${node.addr}`;
  if (format === "json" || format === "yaml") printData(io, format, { removed: name, index: Number(index) });
  else if (format === "name") io.out(`${name}\n`);
  else io.out(`node ${name} removed (index ${index})\n`);
}

export function printChanged(
  session: Session,
  { node }: { readonly node?: Node | undefined },
  done: string,
): void {
  if (node === undefined)
    throw new ClusterduckError("COMMAND_FAILED", "The coordinator answered without a node");
  printOne(session.io, session.format, {
    schema: NodeSchema,
    message: node,
    name: NODES.name(node),
    forPeople: () => `node ${NODES.name(node)} ${done}\n`,
  });
}
