import { createHash } from "node:crypto";

import type { FileConfig } from "../common/config/model.js";
import { ClusterduckError } from "../common/errors.js";
import type { Replica } from "./replica.js";

export type ConfigFile = { readonly text: string; readonly config: FileConfig };

/**
 * Puts the file's clusters and balancers into the log when the file says something else than it did when it
 * was last taken. What `duckctl config apply` has set since stays, as long as the file itself does not change.
 * @returns Whether anything was committed.
 * @throws ClusterduckError CONFLICT when the state machine refused it.
 */
export async function takeFileConfig(replica: Replica, { text, config }: ConfigFile): Promise<boolean> {
  // Of what was read, not of the text: `${VAR}` may have another value now, and comments do not matter.
  const fileHash = createHash("sha256").update(JSON.stringify(config.replicated)).digest("hex");
  if (replica.state.config.fileHash === fileHash) return false;
  const { result } = await replica.propose(
    {
      type: "applyConfig",
      config: config.replicated,
      yaml: text,
      source: "file",
      fileHash,
      ifRevision: null,
    },
    "file",
  );
  if (!result.isAccepted) throw new ClusterduckError("CONFLICT", `Cannot take the file: ${result.message}`);
  return true;
}
