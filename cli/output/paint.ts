import { styleText } from "node:util";

import type { CliIo } from "../io.js";

type Style = Parameters<typeof styleText>[0];

const STYLES: Readonly<Record<string, Style>> = {
  healthy: "green",
  connected: "green",
  converged: "green",
  succeeded: "green",
  passed: "green",
  answers: "green",
  degraded: "yellow",
  unknown: "yellow",
  pending: "yellow",
  started: "yellow",
  inconclusive: "yellow",
  drifted: "yellow",
  warning: "yellow",
  down: "red",
  lost: "red",
  missing: "red",
  "disk-full": "red",
  "disk-slow": "red",
  failed: "red",
  unreachable: "red",
  error: "red",
};

/** A state's word in its colour; the word stays, so colour is never the only sign. */
export function paintState(word: string, io: Pick<CliIo, "hasColours">): string {
  const style = STYLES[word];
  return style === undefined ? word : paint(word, style, io);
}

export function paint(text: string, style: Style, io: Pick<CliIo, "hasColours">): string {
  return io.hasColours ? styleText(style, text, { validateStream: false }) : text;
}
