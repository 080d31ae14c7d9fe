import { hostname } from "node:os";

import { VERSION } from "../../../common/version.js";

/*
 * Compares what a page shows with what a program printed. In a page, `...` alone stands for any number of
 * lines and `…` for any text within one. What differs from run to run is compared by its kind only.
 */

const KINDS: readonly (readonly [pattern: RegExp, word: string])[] = [
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>"],
  [/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, "<id>"],
  [/\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}\b/g, "<hash>"],
  [/\b(\d+(\.\d+)?(ms|s|m|h|d))+\b|\b\d+(\.\d+)? (ms|s)\b/g, "<duration>"],
  [/\b(pid|process|index|term|cut|revision|run) \d+(\.\d+)?\b/g, "$1 <number>"],
  [/\bduck-(coordinator|agent) \d+\b/g, "duck-$1 <number>"],
  [/\b\d+ (bytes|entries)\b/g, "<number> $1"],
];

/** Null: it fits. Otherwise both sides, as they were compared. */
export function mismatch(expected: readonly string[], actual: string): string | null {
  const wanted = expected.map(tidy).filter((line) => line !== "");
  const found = actual
    .split("\n")
    .map(tidy)
    .filter((line) => line !== "");
  const pattern = wanted.map((line) => (line === "..." ? "(?:[^\\n]*\\n)*?" : `${escape(line)}\\n`)).join("");
  if (new RegExp(`^${pattern}$`).test(found.map((line) => `${line}\n`).join(""))) return null;
  return `the page shows:\n${indent(wanted)}\nit printed:\n${indent(found)}`;
}

function tidy(line: string): string {
  let text = line.replaceAll(VERSION, "<version>");
  text = text.replaceAll(new RegExp(`(?<![\\w-])${escape(hostname())}(?![\\w-])`, "g"), "myhost");
  for (const [pattern, word] of KINDS) text = text.replaceAll(pattern, word);
  return text.replaceAll(/\s+/g, " ").trim();
}

function escape(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("…", "[^\\n]*");
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => `    ${line}`).join("\n");
}
