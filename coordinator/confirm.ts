import { createInterface } from "node:readline/promises";
import { ClusterduckError } from "../common/errors.js";

/**
 * Has a person type a word before something that cannot be undone.
 * @throws ClusterduckError COMMAND_FAILED for another answer, INVALID_ARGUMENT where nobody can be asked.
 */
export async function confirm(question: {
  /** What is to be typed. */
  readonly answer: string;
  /** What is lost, a sentence without its full stop. */
  readonly stake: string;
  /** It was said beforehand, with `--yes`. */
  readonly isAgreed: boolean;
  /** What helps where nobody can be asked. */
  readonly hint: string;
}): Promise<void> {
  const { answer, stake, isAgreed, hint } = question;
  if (isAgreed) return;
  if (!process.stdin.isTTY)
    throw new ClusterduckError("INVALID_ARGUMENT", "Nothing was done: nobody can be asked here", { hint });
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const given = await lines.question(`${stake}. Type ${answer} to go on: `);
    if (given.trim() === answer) return;
  } finally {
    lines.close();
  }
  throw new ClusterduckError("COMMAND_FAILED", `Nothing was done: the answer was not "${answer}"`);
}
