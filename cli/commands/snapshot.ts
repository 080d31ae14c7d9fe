import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Command } from "commander";
import writeFileAtomic from "write-file-atomic";

import { ClusterduckError, messageOf } from "../../common/errors.js";
import { irregularFile } from "../../common/irregular-file.js";
import { printData } from "../output/print.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

export function addSnapshotCommands(program: Command, context: CommandContext): void {
  const snapshot = program.command("snapshot").description("the replicated state as one file");

  snapshot
    .command("save")
    .argument("<file>")
    .description("save everything that is committed; the file appears whole or not at all")
    .action((file: string, _options, command: Command) =>
      inSession(context, command, async (session) => {
        await assertWritablePlace(file);
        const chunks: Uint8Array[] = [];
        for await (const { chunk } of session.control.saveSnapshot({}, session.call)) chunks.push(chunk);
        const data = Buffer.concat(chunks);
        await assertWritablePlace(file);
        try {
          await writeFileAtomic(file, data, { mode: 0o600 });
        } catch (thrown) {
          throw new ClusterduckError("COMMAND_FAILED", `Cannot write "${file}": ${messageOf(thrown)}`, {
            cause: thrown,
          });
        }
        const { io, format } = session;
        if (format === "json" || format === "yaml") {
          printData(io, format, { file, bytes: data.length });
          return;
        }
        io.err(`Saved ${data.length} bytes\n`);
        io.out(`${file}\n`);
      }),
    );
}

/** What the system says of these, after everything has been fetched, names a file that nobody has heard of. */
async function assertWritablePlace(file: string): Promise<void> {
  const isFolder = async (path: string): Promise<boolean> => {
    const found = await stat(path).catch(() => null);
    return found?.isDirectory() === true;
  };
  if (file.endsWith("/") || (await isFolder(file))) {
    throw new ClusterduckError("INVALID_ARGUMENT", `Cannot write "${file}": it is a directory`, {
      hint: `name a file in it, such as ${file.replace(/\/+$/, "")}/tier.snapshot`,
    });
  }
  const irregular = irregularAt(file);
  if (irregular !== null) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Cannot write "${file}": it is ${irregular}, which a snapshot would replace`,
      { hint: "name a new file, or a regular one" },
    );
  }
  const folder = dirname(file);
  if (!(await isFolder(folder))) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Cannot write "${file}": there is no directory "${folder}"`,
    );
  }
}

/** Null also where it cannot be looked at: writing will say why. */
function irregularAt(file: string): string | null {
  try {
    return irregularFile(file);
  } catch {
    return null;
  }
}
