import { hostname } from "node:os";
import type { Command } from "commander";
import { Argument, InvalidArgumentError, Option } from "commander";

import { DEFAULT_TLS_FOLDER, listCertificates, readCertificateFile } from "../../common/tls/folder.js";
import { PEER_ROLES, isPeerName, isTierName } from "../../common/tls/identity.js";
import type { PeerRole } from "../../common/tls/identity.js";
import { describeFound, printCertificates } from "../certificate-listing.js";
import { initCertificates, issueOne, renewCertificates } from "../certificates.js";
import type { FolderOptions, InitOptions, IssueOptions, RenewOptions } from "../certificates.js";
import { isHostName } from "../host-name.js";
import { durationOption } from "../options.js";
import type { GlobalOptions } from "../session.js";
import type { CommandContext } from "./command.js";

/** Certificates of the tier: an authority of its own, and what it signs. Nothing here asks a coordinator. */
export function addTlsCommands(program: Command, { io }: CommandContext): void {
  const tls = program.command("tls").description("certificates of coordinators, agents and operators");

  for (const command of [tls.command("init"), program.command("gen-tls", { hidden: true })]) {
    withFolder(command)
      .description(
        "make an authority, and certificates for this host's coordinator and agent and for duckctl",
      )
      .addOption(
        new Option("--cluster <name>", "what the tier is called").default("clusterduck").argParser(parseTier),
      )
      .addOption(nameOption("--name <name>", "id of this host's coordinator and agent").default(hostname()))
      .addOption(hostOption())
      .action((_options, self: Command) => initCertificates(io, self.optsWithGlobals<InitOptions>()));
  }

  withFolder(tls.command("issue"))
    .addArgument(new Argument("<role>").choices(PEER_ROLES))
    .addArgument(
      new Argument("<name>", "the id of the coordinator or agent, or whose it is").argParser(parseName),
    )
    .addOption(hostOption())
    .option("--out <directory>", "where to put it; default: beside the authority")
    .option("--replace", "when there is one already")
    .description("make a certificate; on the host with the authority's key")
    .action((role: PeerRole, name: string, _options, self: Command) =>
      issueOne(io, { role, name }, self.optsWithGlobals<IssueOptions>()),
    );

  withFolder(tls.command("renew"))
    .argument("[file...]", "certificates to renew; default: those that end soon")
    .option("--all", "all certificates of the folder")
    .option("--authority", "the authority's own certificate: its key and all that it signed stay good")
    .description("make certificates anew, with new keys, for the same holders")
    .action((files: string[], _options, self: Command) =>
      renewCertificates(io, files, self.optsWithGlobals<RenewOptions>()),
    );

  tls
    .command("show")
    .argument("<file...>")
    .description("tell whose a certificate is, its names and its end")
    .action(async (files: string[], _options, self: Command) => {
      const found = await Promise.all(files.map((file) => readCertificateFile(file)));
      const { output } = self.optsWithGlobals<GlobalOptions>();
      if (output === "table" || output === "wide") {
        io.out(found.map((each) => describeFound(each, io.nowMs())).join("\n"));
      } else printCertificates(io, output, found);
    });

  withFolder(tls.command("list"), false)
    .alias("ls")
    .description("list the certificates of a folder, and what should be renewed")
    .action(async (_options, self: Command) => {
      const { output, dir } = self.optsWithGlobals<FolderOptions>();
      printCertificates(io, output, await listCertificates(dir));
    });
}

function withFolder(command: Command, hasLifetime = true): Command {
  command.option("--dir <directory>", "where authority and certificates lie", DEFAULT_TLS_FOLDER);
  return hasLifetime
    ? command.addOption(
        durationOption(
          "--lifetime <duration>",
          "how long certificates hold (default: 397d, and the authority ten years)",
        ),
      )
    : command;
}

function hostOption(): Option {
  return new Option(
    "--host <host...>",
    "names and addresses under which a coordinator is reached (default: its name, and of this host its addresses)",
  ).argParser((text: string, before: readonly string[] | undefined) => {
    if (!isHostName(text))
      throw new InvalidArgumentError("expected a host's name or an IP address, without a port");
    return [...(before ?? []), text];
  });
}

function nameOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(parseName);
}

function parseName(text: string): string {
  if (isPeerName(text)) return text;
  throw new InvalidArgumentError("expected up to 128 letters, digits or any of _ . : @ -");
}

function parseTier(text: string): string {
  if (isTierName(text)) return text;
  throw new InvalidArgumentError("expected up to 64 letters, digits or any of _ . -");
}
