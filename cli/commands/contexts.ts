import type { Command } from "commander";

import { serversOf, tlsOf } from "../connection.js";
import { contextNamed, contextsFile, readContexts, writeContexts } from "../contexts.js";
import { formatTable } from "../output/table.js";
import { printData, tableWidth } from "../output/print.js";
import type { GlobalOptions } from "../session.js";
import type { CommandContext } from "./command.js";

/** Coordinators under names of your own, with the certificates to show them. Kept in the user's own folder. */
export function addContextCommands(program: Command, { io }: CommandContext): void {
  const contexts = program
    .command("contexts")
    .alias("context")
    .description("coordinators and certificates under names of your own");

  contexts
    .command("list")
    .alias("ls")
    .description("list contexts; * marks the current one")
    .action((_options, command: Command) => {
      const { output } = command.optsWithGlobals<GlobalOptions>();
      const { current, contexts: known } = readContexts(io.env);
      const entries = Object.entries(known);
      if (output === "json" || output === "yaml") {
        const rows = entries.map(([name, { server, cacert, cert, key }]) => ({
          name,
          isCurrent: name === current,
          server: server ?? "",
          cacert: cacert ?? "",
          cert: cert ?? "",
          key: key ?? "",
        }));
        printData(io, output, rows);
      } else if (output === "name") for (const [name] of entries) io.out(`${name}\n`);
      else if (entries.length === 0) io.err(`No contexts in ${contextsFile(io.env)}\n`);
      else {
        const rows = entries.map(([name, { server, cert }]) => [
          name === current ? "*" : "",
          name,
          server ?? "",
          cert ?? "",
        ]);
        io.out(formatTable(["CURRENT", "NAME", "SERVER", "CERTIFICATE"], rows, tableWidth(io, output)));
      }
    });

  contexts
    .command("set")
    .argument("<name>")
    .description("keep --server, --cacert, --cert and --key under a name; the first one is current at once")
    .action(async (name: string, _options, command: Command) => {
      const flags = command.optsWithGlobals<GlobalOptions>();
      const known = readContexts(io.env);
      const before = known.contexts[name] ?? {};
      const tls = tlsOf(flags, {}, before);
      const server = flags.server === undefined ? before.server : serversOf(flags, {}).join(",");
      const next = { server, cacert: tls?.ca, cert: tls?.cert, key: tls?.key };
      const contexts = { ...known.contexts, [name]: next };
      const file = await writeContexts(io.env, { current: known.current ?? name, contexts });
      io.err(`Kept context ${name} in ${file}\n`);
    });

  contexts
    .command("use")
    .argument("<name>")
    .description("make a context the current one")
    .action(async (name: string) => {
      const known = readContexts(io.env);
      contextNamed(known, name);
      await writeContexts(io.env, { ...known, current: name });
      io.err(`Commands go to ${known.contexts[name]?.server ?? "the coordinator on this host"} now\n`);
    });

  contexts
    .command("remove")
    .alias("rm")
    .argument("<name>")
    .description("forget a context")
    .action(async (name: string) => {
      const { current, contexts: known } = readContexts(io.env);
      contextNamed({ contexts: known }, name);
      const { [name]: _removed, ...rest } = known;
      await writeContexts(io.env, {
        ...(current === undefined || current === name ? {} : { current }),
        contexts: rest,
      });
      io.err(`Forgot context ${name}\n`);
    });
}
