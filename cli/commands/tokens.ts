import type { Command } from "commander";

import { JoinTokenSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { dateOf, joinCommand, makeToken, validOption } from "../join-tokens.js";
import { printData, printList } from "../output/print.js";
import type { Listing } from "../output/print.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

const TOKENS: Listing<typeof JoinTokenSchema> = {
  schema: JoinTokenSchema,
  none: "No join tokens",
  name: (token) => token.id,
  columns: () => [
    { header: "TOKEN", value: (each) => each.id },
    { header: "COORDINATOR", value: (each) => each.coordinatorId },
    { header: "STATE", value: (each) => each.state },
    { header: "EXPIRES", value: (each) => dateOf(each.expiresAt) },
    { header: "ENDED", value: (each) => dateOf(each.endedAt), isWide: true },
    { header: "MADE", value: (each) => dateOf(each.madeAt), isWide: true },
    { header: "BY", value: (each) => each.madeBy, isWide: true },
  ],
};

/** Join tokens: each lets one coordinator in, once. */
export function addTokenCommands(program: Command, context: CommandContext): void {
  const tokens = program
    .command("tokens")
    .alias("token")
    .description("what lets one new coordinator join, once and within a time");

  tokens
    .command("create")
    .argument("<id>", "of the coordinator that is to join")
    .addOption(validOption())
    .description("make a join token; this is the only time that it is shown")
    .action((id: string, options: { valid: number }, command: Command) =>
      inSession(context, command, async ({ control, call, io, format }) => {
        const made = await makeToken({ control, call }, id, options.valid);
        if (format === "json" || format === "yaml") {
          printData(io, format, made);
          return;
        }
        io.out(`${made.token}\n`);
        if (format === "name") return;
        io.err(`On the host of ${id}, until ${made.expiresAt}: ${joinCommand(made)}\n`);
      }),
    );

  tokens
    .command("list")
    .alias("ls")
    .description("list join tokens: who may join, who has joined with one")
    .action((_options, command: Command) =>
      inSession(context, command, async ({ control, call, io, format }) => {
        const { tokens: found } = await control.listJoinTokens({}, call);
        printList(io, format, TOKENS, found);
      }),
    );

  tokens
    .command("revoke")
    .argument("<token>", "its id from `tokens list`, or the token itself")
    .description("nobody joins with it any more")
    .action((token: string, _options, command: Command) =>
      inSession(context, command, async ({ control, call, io, format }) => {
        const { id } = await control.revokeJoinToken({ id: token }, call);
        if (format === "json" || format === "yaml") printData(io, format, { revoked: id });
        else io.out(format === "name" ? `${id}\n` : `token ${id} revoked\n`);
      }),
    );
}
