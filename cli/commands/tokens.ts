import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";

import { JoinTokenSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { durationOption } from "../options.js";
import { printData, printList } from "../output/print.js";
import type { Listing } from "../output/print.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";
import { TOKEN_VALID_MS } from "./coordinators.js";

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
    .addOption(durationOption("--valid <duration>", "how long the token works").default(TOKEN_VALID_MS, "1h"))
    .description("make a join token; this is the only time that it is shown")
    .action((id: string, options: { valid: number }, command: Command) =>
      inSession(context, command, async ({ control, call, io, format }) => {
        const answer = await control.createJoinToken({ id, validMs: options.valid }, call);
        const { token, tokenId, addresses } = answer;
        const expiresAt = dateOf(answer.expiresAt);
        if (format === "json" || format === "yaml") {
          printData(io, format, { id: tokenId, coordinator: id, token, addresses, expiresAt });
          return;
        }
        io.out(`${token}\n`);
        if (format === "name") return;
        io.err(
          `On the host of ${id}, until ${expiresAt}: duck-coordinator join ${addresses.join(" ")} --token ${token}\n`,
        );
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

function dateOf(time: Timestamp | undefined): string {
  return time === undefined ? "-" : new Date(timestampMs(time)).toISOString();
}
