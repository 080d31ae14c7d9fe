import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";

import { ClusterduckError } from "../../common/errors.js";
import { majorityOf } from "../../common/majority.js";
import { CoordinatorSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { Coordinator } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { joinCommand, makeToken, validOption } from "../join-tokens.js";
import { paint, paintState } from "../output/paint.js";
import { printData, printList } from "../output/print.js";
import type { Listing } from "../output/print.js";
import type { Session } from "../session.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

export const COORDINATORS: Listing<typeof CoordinatorSchema> = {
  schema: CoordinatorSchema,
  none: "No coordinators: this one belongs to no tier",
  name: (coordinator) => coordinator.id,
  columns: (io) => [
    { header: "COORDINATOR", value: (each) => each.id },
    { header: "ROLE", value: (each) => (each.role === "leader" ? paint(each.role, "green", io) : each.role) },
    { header: "STATE", value: (each) => paintState(each.state, io) },
    { header: "ADDRESS", value: (each) => each.address || "-" },
    { header: "RAFT", value: (each) => each.raftAddress || "-" },
    { header: "VERSION", value: (each) => each.version || "-" },
    {
      header: "ENTRIES",
      value: (each) => (each.matchIndex === undefined ? "-" : String(each.matchIndex)),
    },
    {
      header: "LAST HEARD",
      value: lastHeard,
      isWide: true,
    },
    { header: "HTTP", value: (each) => each.httpAddress || "-", isWide: true },
    { header: "PROBLEM", value: (each) => each.problem || "-", isWide: true },
  ],
};

/** `-`: the coordinator that was asked does not hear from it in any case. */
function lastHeard({ lastHeardAt, state }: Coordinator): string {
  if (lastHeardAt !== undefined) return new Date(timestampMs(lastHeardAt)).toISOString();
  return state === "unknown" ? "-" : "never";
}

export function addCoordinatorCommands(program: Command, context: CommandContext): void {
  const coordinators = program
    .command("coordinators")
    .alias("coordinator")
    .description("the members of the tier that decides");

  coordinators
    .command("list")
    .alias("ls")
    .description("list coordinators: who leads, who answers")
    .action((_options, command: Command) =>
      inSession(context, command, async (session) => {
        const answer = await session.control.listCoordinators({}, session.call);
        printList(session.io, session.format, COORDINATORS, answer.coordinators);
      }),
    );

  coordinators
    .command("add")
    .argument("<id>")
    .addOption(validOption())
    .description("let one new coordinator join: prints the command to type on its host")
    .action((id: string, options: { valid: number }, command: Command) =>
      inSession(context, command, async ({ control, call, io, format }) => {
        const made = await makeToken({ control, call }, id, options.valid);
        const { token, addresses, expiresAt } = made;
        if (format === "json" || format === "yaml") {
          printData(io, format, { id, token, addresses, expiresAt });
          return;
        }
        if (format === "name") {
          io.out(`${token}\n`);
          return;
        }
        io.err(`On the host of ${id}, until ${expiresAt}, with its configuration:\n`);
        io.out(`${joinCommand(made)}\n`);
      }),
    );

  coordinators
    .command("remove")
    .alias("rm")
    .argument("<id>")
    .option("-y, --yes", "remove it also when the tier would bear no further loss")
    .description("take a coordinator out of the tier for good: its id is never used again")
    .action((id: string, options: { yes?: true }, command: Command) =>
      inSession(context, command, async (session) => {
        await confirmRemoval(session, id, options.yes === true);
        await session.control.removeCoordinator({ id }, session.call);
        tell(session, id, "removed");
      }),
    );

  coordinators
    .command("promote")
    .argument("<id>")
    .description("let a learner vote now; one that has caught up is promoted without it")
    .action((id: string, _options, command: Command) =>
      inSession(context, command, async (session) => {
        await session.control.promoteCoordinator({ id }, session.call);
        tell(session, id, "promoted");
      }),
    );

  coordinators
    .command("transfer-leader")
    .argument("[id]")
    .description("hand leadership over, to the one that lacks least unless one is named")
    .action((id: string | undefined, _options, command: Command) =>
      inSession(context, command, async ({ control, call, io, format }) => {
        const { leaderId, term } = await control.transferLeadership({ to: id ?? "" }, call);
        if (format === "json" || format === "yaml") printData(io, format, { leaderId, term: Number(term) });
        else io.out(format === "name" ? `${leaderId}\n` : `coordinator ${leaderId} leads (term ${term})\n`);
      }),
    );
}

function tell({ io, format }: Session, id: string, what: string): void {
  if (format === "json" || format === "yaml") printData(io, format, { [what]: id });
  else io.out(format === "name" ? `${id}\n` : `coordinator ${id} ${what}\n`);
}

/**
 * Asks before the tier could bear no further loss: a removal is for good, so where nobody can answer it has to be
 * agreed to beforehand.
 * @throws ClusterduckError COMMAND_FAILED when the answer is not the coordinator's id, INVALID_ARGUMENT where nobody
 *   can be asked.
 */
async function confirmRemoval({ control, call, io }: Session, id: string, isAgreed: boolean): Promise<void> {
  if (isAgreed) return;
  const { coordinators } = await control.listCoordinators({}, call);
  const voters = coordinators.filter(({ role }) => role !== "learner");
  if (!voters.some((each) => each.id === id)) return;
  const left = voters.filter((each) => each.id !== id);
  const answering = left.filter(({ state }) => state === "answers").length;
  const needed = majorityOf(left.length);
  if (answering > needed) return;
  const consequence =
    answering < needed ? "the tier stops at once" : "the loss of one more of them stops the tier";
  const stake = `Of ${left.length} voting coordinators that this leaves ${answering} answer, and ${needed} are needed: ${consequence}`;
  if (io.ask === null) {
    throw new ClusterduckError("INVALID_ARGUMENT", `Nothing was done: nobody can be asked here. ${stake}`, {
      // Without a majority the coordinators refuse it, too.
      hint: `Let another one join first (duckctl coordinators add ID)${answering < needed ? "" : `; or: duckctl coordinators remove ${id} --yes`}`,
    });
  }
  const answer = await io.ask(`${stake}. Type the coordinator's id to remove it: `);
  if (answer.trim() !== id)
    throw new ClusterduckError("COMMAND_FAILED", `Not done: the answer was not ${JSON.stringify(id)}`);
}
