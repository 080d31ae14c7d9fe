import { createHash } from "node:crypto";

import type { FileConfig } from "../common/config/model.js";
import { withoutPassphrase } from "../common/config/without-passphrase.js";
import { ClusterduckError } from "../common/errors.js";
import type { Replica } from "./replica.js";

export type ConfigFile = { readonly text: string; readonly config: FileConfig };

/**
 * Puts the file's clusters and balancers into the log when the file says something else than it did when it
 * was last taken. What `duckctl config apply` has set since stays, as long as the file itself does not change.
 * @returns Whether anything was committed.
 * @throws ClusterduckError CONFLICT when the state machine refused it; CONFIG_INVALID when an empty file would
 * take every cluster away: whoever writes a file in place leaves it empty for a moment, and a full disk for longer.
 */
export async function takeFileConfig(
  replica: Replica,
  file: ConfigFile,
  ifRevision: number | null = null,
): Promise<boolean> {
  const { text, config } = file;
  const fileHash = fileHashOf(file);
  if (replica.state.config.fileHash === fileHash) return false;
  if (isBlank(text) && Object.keys(replica.state.config.value.clusters).length > 0) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      "Cannot take the file: it is empty, and clusters are configured; they stay as they are",
      { hint: "To remove every cluster write `clusters: {}`" },
    );
  }
  const { result } = await replica.propose(
    {
      type: "applyConfig",
      config: config.replicated,
      yaml: withoutPassphrase(text),
      source: "file",
      fileHash,
      ifRevision,
    },
    "file",
  );
  // Another coordinator's file came first.
  if (!result.isAccepted && ifRevision !== null && replica.state.config.revision !== ifRevision) return false;
  if (!result.isAccepted) throw new ClusterduckError("CONFLICT", `Cannot take the file: ${result.message}`);
  return true;
}

/** Of what was read, not of the text: `${VAR}` may have another value now, and comments do not matter. */
export function fileHashOf({ config }: ConfigFile): string {
  return createHash("sha256").update(JSON.stringify(config.replicated)).digest("hex");
}

/** Nothing but blank lines and comments. */
function isBlank(text: string): boolean {
  return text.split("\n").every((line) => /^\s*(#.*|---)?\s*$/.test(line));
}
