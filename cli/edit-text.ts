import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ClusterduckError, messageOf } from "../common/errors.js";
import type { CliIo } from "./io.js";

/**
 * Opens a text in $VISUAL or $EDITOR and hands what was saved to `save`. When `save` throws, the edited file
 * is kept and named, so that no work is lost.
 * @throws ClusterduckError COMMAND_FAILED without an editor, or when it fails.
 */
export async function editText(
  io: CliIo,
  before: string,
  save: (text: string) => Promise<void>,
): Promise<void> {
  const editor = io.env["VISUAL"] ?? io.env["EDITOR"];
  if (editor === undefined || editor === "") {
    throw new ClusterduckError("COMMAND_FAILED", "Cannot edit: neither VISUAL nor EDITOR is set", {
      hint: "EDITOR=vi duckctl config edit",
    });
  }
  const folder = await mkdtemp(join(tmpdir(), "duckctl-"));
  const file = join(folder, "clusterduck.yaml");
  await writeFile(file, before, { mode: 0o600 });
  await runEditor(editor, file);
  const after = await readFile(file, "utf8");
  try {
    if (after === before) io.err("Nothing was changed\n");
    else await save(after);
  } catch (thrown) {
    io.err(`Your text is kept in ${file}\n`);
    throw thrown;
  }
  await rm(folder, { recursive: true });
}

/** The variable may hold arguments (`code --wait`), so a shell splits it, as git does. */
function runEditor(editor: string, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit" });
    child.once("error", (cause) => reject(failed(editor, messageOf(cause), cause)));
    child.once("exit", (code) => {
      if (code === 0) resolve();
      else reject(failed(editor, `exit code ${code ?? "none"}`));
    });
  });
}

function failed(editor: string, why: string, cause?: unknown): ClusterduckError {
  return new ClusterduckError("COMMAND_FAILED", `Editor ${JSON.stringify(editor)} failed: ${why}`, { cause });
}
