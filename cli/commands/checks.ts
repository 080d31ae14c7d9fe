import type { Command } from "commander";

import { ObservationSchema } from "../../proto/gen/clusterduck/v1/model_pb.js";
import type { Observation } from "../../proto/gen/clusterduck/v1/model_pb.js";
import { EXIT } from "../../common/exit-code.js";
import type { CliIo } from "../io.js";
import { CHECKS, outcomeWord } from "../listings.js";
import { resolveNode, resolveScope } from "../node-argument.js";
import { paintState } from "../output/paint.js";
import { printList } from "../output/print.js";
import type { Listing } from "../output/print.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

const OBSERVATIONS: Listing<typeof ObservationSchema> = {
  schema: ObservationSchema,
  none: "No checks were run",
  name: (observation) => observation.check,
  columns: (io: CliIo) => [
    { header: "CHECK", value: (each) => each.check },
    { header: "OUTCOME", value: (each) => paintState(outcomeWord(each.outcome), io) },
    { header: "LATENCY", value: (each) => `${each.latencyMs.toFixed(1)}ms` },
    { header: "REASON", value: (each) => each.reason || "-" },
    { header: "DETAIL", value: (each) => each.detail },
  ],
};

export function addCheckCommands(program: Command, context: CommandContext): void {
  const checks = program.command("checks").alias("check").description("how nodes are looked at");

  checks
    .command("list")
    .alias("ls")
    .argument("[cluster-or-node]")
    .argument("[addr]")
    .description("list checks with what every observer saw last")
    .action((first: string | undefined, second: string | undefined, _options, command: Command) =>
      inSession(context, command, async (session) => {
        const request = await resolveScope(session, first, second);
        const answer = await session.control.listChecks(request, session.call);
        printList(session.io, session.format, CHECKS, answer.checks);
      }),
    );

  checks
    .command("run")
    .argument("<cluster-or-node>")
    .argument("[addr]")
    .option("--check <id>", "only this check")
    .description("run a node's checks now, from the coordinator; decides nothing")
    .action((first: string, second: string | undefined, options: { check?: string }, command: Command) =>
      inSession(context, command, async (session) => {
        const node = await resolveNode(session, first, second);
        const answer = await session.control.runCheck({ node, check: options.check ?? "" }, session.call);
        printList(session.io, session.format, OBSERVATIONS, answer.observations);
        if (answer.observations.some(hasFailed)) context.exit(EXIT.degraded);
      }),
    );
}

function hasFailed(observation: Observation): boolean {
  return outcomeWord(observation.outcome) !== "passed";
}
