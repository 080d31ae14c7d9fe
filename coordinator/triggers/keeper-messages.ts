import type { ActionConfig } from "../../common/config/model.js";
import type { RunNote } from "./run-notes.js";
import type { ActionOutcome } from "./shell.js";

/** What the coordinator and its keeper say to each other. Both are of one build, so nothing is checked. */
export type ToKeeper =
  | { readonly kind: "run"; readonly run: KeptRun }
  /** End the command of this run now. */
  | { readonly kind: "stop"; readonly path: string };

export type FromKeeper = { readonly kind: "ended"; readonly path: string; readonly outcome: ActionOutcome };

export type KeptRun = {
  /** Where its note lies; its name between the two. */
  readonly path: string;
  readonly note: RunNote;
  /** One after the other until one fails. */
  readonly actions: readonly KeptAction[];
  /** For the standard input of every command. */
  readonly input: string;
};

export type KeptAction = {
  readonly action: ActionConfig;
  readonly env: Readonly<Record<string, string>>;
};
