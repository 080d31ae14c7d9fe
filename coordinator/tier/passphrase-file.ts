import { readFile, stat } from "node:fs/promises";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import { describeIrregular } from "../../common/irregular-file.js";

/** Nobody's passphrase is longer: whoever names such a file means another one. Bytes. */
const BYTES_MAX = 16 * 1024;

/**
 * The passphrase in a file. A file that is none is not even opened: a device may never end, and a pipe never begin.
 * @throws ClusterduckError CONFIG_UNREADABLE, CONFIG_INVALID with the file and what is wrong with it.
 */
export async function readPassphraseFile(file: string): Promise<string> {
  try {
    const found = await stat(file);
    const irregular = describeIrregular(found);
    if (irregular !== null) throw unfit(file, `it is ${irregular}, not a regular file`);
    if (found.size > BYTES_MAX)
      throw unfit(file, `it has ${found.size} bytes, expected at most ${BYTES_MAX}`);
    // Editors and `echo` end a file with a line break.
    return (await readFile(file, "utf8")).replace(/\r?\n$/, "");
  } catch (thrown) {
    throw thrown instanceof ClusterduckError ? thrown : unreadable(file, thrown);
  }
}

function unfit(file: string, problem: string): ClusterduckError {
  return new ClusterduckError("CONFIG_INVALID", `Cannot use passphrase_file "${file}": ${problem}`, {
    hint: "Name a file that holds the passphrase alone; one is made by: openssl rand -base64 24 > FILE",
  });
}

function unreadable(file: string, cause: unknown): ClusterduckError {
  const { code } = cause as NodeJS.ErrnoException;
  const why =
    code === "ENOENT" ? "there is no such file" : code === "EACCES" ? "permission denied" : messageOf(cause);
  return new ClusterduckError("CONFIG_UNREADABLE", `Cannot read passphrase_file "${file}": ${why}`, {
    cause,
    hint:
      code === "ENOENT"
        ? "Copy it from another coordinator, or make one: openssl rand -base64 24"
        : "Let the user that runs the program read it",
  });
}
