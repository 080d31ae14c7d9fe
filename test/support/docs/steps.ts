import type { Block } from "./markdown.js";

/** One thing that a page has its reader do, in order. */
export type Step =
  | {
      readonly kind: "run";
      readonly command: string;
      readonly exitCode: number;
      /** Lines that the page shows below the command; empty: whatever. */
      readonly output: readonly string[];
      /** It stays in the foreground of a terminal of its own. */
      readonly isInFirstTerminal: boolean;
      readonly lineNumber: number;
    }
  | { readonly kind: "interrupt"; readonly lineNumber: number }
  | { readonly kind: "write"; readonly path: string; readonly text: string; readonly lineNumber: number };

/** Commands that never end, wherever a page shows them. */
const FOREGROUND = /^npm start$/;
/** A comment that is a path and nothing else names the file that a block shows. */
const FILE_COMMENT = /^(?:#|\/\/|<!--)\s+((?:~|\.{1,2})?[\w.~/-]*\/?[\w-]+\.[a-z]{1,4})\s*(?:-->)?$/;

/**
 * What a block asks for: `console` blocks hold commands (`$ `, continued by `\` or `> `), what they print, and `^C`
 * for the first terminal; other blocks whose first or second line is a comment with a path are files to write.
 * Whatever else a page shows is not for the reader to do.
 */
export function stepsOf(block: Block): readonly Step[] {
  if (block.language === "console") return consoleSteps(block);
  if (block.language === "text" || block.language === "") return [];
  const path = block.lines
    .slice(0, 2)
    .flatMap((line) => FILE_COMMENT.exec(line)?.[1] ?? [])
    .at(0);
  if (path === undefined || path.startsWith("/")) return [];
  return [{ kind: "write", path, text: `${block.lines.join("\n")}\n`, lineNumber: block.lineNumber }];
}

function consoleSteps(block: Block): readonly Step[] {
  const steps: Step[] = [];
  let command: string[] = [];
  let output: string[] = [];
  let startedAt = 0;
  const flush = (): void => {
    if (command.length === 0) return;
    const text = command.join("\n");
    const exitCode = Number(/#\s*exits with (\d+)\s*$/.exec(text)?.[1] ?? 0);
    const isInFirstTerminal = block.words.includes("first-terminal") || FOREGROUND.test(text.trim());
    steps.push({ kind: "run", command: text, exitCode, output, isInFirstTerminal, lineNumber: startedAt });
    command = [];
    output = [];
  };
  for (const [at, line] of block.lines.entries()) {
    const lineNumber = block.lineNumber + at + 1;
    const isContinued = output.length === 0 && command.length > 0;
    if (line.startsWith("$ ")) {
      flush();
      command = [line.slice(2)];
      startedAt = lineNumber;
    } else if (line.trim() === "^C") {
      flush();
      steps.push({ kind: "interrupt", lineNumber });
    } else if (isContinued && line.startsWith("> ")) command.push(line.slice(2));
    else if (isContinued && command.at(-1)?.endsWith("\\") === true) command.push(line);
    else if (command.length > 0) output.push(line);
    else throw new Error(`line ${lineNumber} of a console block comes before any command: ${line}`);
  }
  flush();
  return steps;
}
