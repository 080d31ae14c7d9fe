import type { Command } from "commander";

import { ClusterduckError } from "../../common/errors.js";
import { NodeSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { Node } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { parseAttributes } from "../attributes.js";
import { confirmCapacity } from "../confirm.js";
import { describeNode } from "../describe-node.js";
import { NODES, stateWord } from "../listings.js";
import { resolveNode, splitNode } from "../node-argument.js";
import { durationOption } from "../options.js";
import { printList, printOne } from "../output/print.js";
import type { Session } from "../session.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

const NODE_HELP = "node: CLUSTER ADDR, CLUSTER/ADDR, or ADDR alone where only one cluster has it";

export function addNodeCommands(program: Command, context: CommandContext): void {
  const nodes = program.command("nodes").alias("node").description("the service instances traffic goes to");

  nodes
    .command("list")
    .alias("ls")
    .argument("[cluster]")
    .description("list nodes")
    .option("--state <state>", "only nodes in this state (healthy, degraded, down, unknown)")
    .action((cluster: string | undefined, options: { state?: string }, command: Command) =>
      inSession(context, command, (session) => listNodes(session, cluster, options.state)),
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
          const { node } = await session.control.addNode(
            {
              node: { cluster, addr: written.addr },
              attributes: parseAttributes(words),
              isIdempotent: options.ifAbsent === true,
            },
            session.call,
          );
          printChanged(session, node, "added");
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

  addIntent("enable", "end any overlay: traffic follows the node's state again", "enabled");
  addIntent("disable", "take a node out of rotation until it is enabled", "disabled");
  addIntent("drain", "let a node's sessions end: no new ones go to it", "draining");
  addIntent("undrain", "end a drain", "undrained");
  addIntent("maintenance", "take a node out of rotation for planned work", "under maintenance");

  function addIntent(intent: string, description: string, done: string): void {
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
        printChanged(session, answer.node, done);
      }),
    );
  }
}

type IntentOptions = { readonly reason?: string; readonly for?: number; readonly yes?: true };

export async function listNodes(
  session: Session,
  cluster: string | undefined,
  state?: string,
): Promise<void> {
  const { nodes } = await session.control.listNodes({ cluster: cluster ?? "" }, session.call);
  const wanted = state === undefined ? nodes : nodes.filter((node) => stateWord(node.state) === state);
  printList(session.io, session.format, NODES, wanted);
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
  if (format === "json") io.out(`${JSON.stringify({ removed: name, index: Number(index) }, null, 2)}\n`);
  else if (format === "name") io.out(`${name}\n`);
  else io.out(`node ${name} removed (index ${index})\n`);
}

export function printChanged(session: Session, node: Node | undefined, done: string): void {
  if (node === undefined)
    throw new ClusterduckError("COMMAND_FAILED", "The coordinator answered without a node");
  printOne(session.io, session.format, {
    schema: NodeSchema,
    message: node,
    name: NODES.name(node),
    forPeople: () => `node ${NODES.name(node)} ${done}\n`,
  });
}
