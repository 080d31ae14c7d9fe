import type { Command } from "commander";

import { ClusterduckError } from "../../common/errors.js";
import { BalancerSchema, ClusterSummarySchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { BALANCERS, CLUSTERS } from "../listings.js";
import { printList, printOne } from "../output/print.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

export function addClusterCommands(program: Command, context: CommandContext): void {
  const clusters = program.command("clusters").alias("cluster").description("named groups of nodes");

  clusters
    .command("list")
    .alias("ls")
    .description("list clusters")
    .action((_options, command: Command) =>
      inSession(context, command, async (session) => {
        const answer = await session.control.listClusters({}, session.call);
        printList(session.io, session.format, CLUSTERS, answer.clusters);
      }),
    );

  clusters
    .command("get")
    .argument("<cluster>")
    .description("show one cluster")
    .action((name: string, _options, command: Command) =>
      inSession(context, command, async (session) => {
        const answer = await session.control.listClusters({}, session.call);
        const cluster = answer.clusters.find((each) => each.name === name);
        if (cluster === undefined)
          throw notFound(
            "cluster",
            name,
            answer.clusters.map((each) => each.name),
          );
        if (session.format === "table" || session.format === "wide") {
          printList(session.io, "wide", CLUSTERS, [cluster]);
          return;
        }
        printOne(session.io, session.format, {
          schema: ClusterSummarySchema,
          message: cluster,
          name: cluster.name,
          forPeople: () => "",
        });
      }),
    );
}

export function addBalancerCommands(program: Command, context: CommandContext): void {
  const balancers = program.command("balancers").alias("balancer").description("proxies under management");

  balancers
    .command("list")
    .alias("ls")
    .argument("[balancer]")
    .description("list balancers and what their proxies run")
    .action((name: string | undefined, _options, command: Command) =>
      inSession(context, command, async (session) => {
        const answer = await session.control.listBalancers({ name: name ?? "" }, session.call);
        printList(session.io, session.format, BALANCERS, answer.balancers);
      }),
    );

  balancers
    .command("config")
    .argument("<balancer>")
    .description("print the configuration that its proxies should run")
    .action((name: string, _options, command: Command) =>
      inSession(context, command, async (session) => {
        const answer = await session.control.listBalancers({ name, withConfig: true }, session.call);
        const [balancer] = answer.balancers;
        if (balancer === undefined) throw notFound("balancer", name, []);
        for (const warning of balancer.warnings) session.io.err(`warning: ${warning}\n`);
        printOne(session.io, session.format, {
          schema: BalancerSchema,
          message: balancer,
          name: balancer.name,
          forPeople: () => balancer.config,
        });
      }),
    );
}

function notFound(kind: string, name: string, known: readonly string[]): ClusterduckError {
  const there =
    known.length === 0 ? "" : `: there are ${known.map((each) => JSON.stringify(each)).join(", ")}`;
  return new ClusterduckError("NOT_FOUND", `No ${kind} ${JSON.stringify(name)}${there}`, {
    hint: `duckctl ${kind}s list`,
  });
}
