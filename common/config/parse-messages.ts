import type { ErrorCode } from "../errors.js";
import type { FileConfig } from "./model.js";
import type { ConfigProblem } from "./problem.js";

/** What the process that reads a configuration is asked. */
export type ParseQuestion = {
  readonly text: string;
  readonly fileName: string;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** What it answers; errors lose their class between processes. */
export type ParseAnswer =
  | { readonly kind: "config"; readonly config: FileConfig }
  | { readonly kind: "problems"; readonly problems: readonly ConfigProblem[] }
  | {
      readonly kind: "refused";
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string | null;
    };
