import { isRunning } from "../../common/daemon/processes.js";
import type { ProcessId } from "../../common/daemon/processes.js";
import type { ReloadConfig } from "../../common/config/model.js";
import { masterInPidFile } from "./master-process.js";
import type { ApplierMemory } from "./memory.js";
import { SOCKET_REMEDY } from "./proxy-link.js";
import type { Sight } from "./proxy-link.js";

/**
 * HAProxy's socket is gone and there is no other to ask over. It may run all the same: then files and
 * reloads go on, and its processes are the proof instead of its answers.
 */
export type Blind = {
  readonly problem: string;
  /** HAProxy's master, which runs; null when that is not known. */
  readonly master: ProcessId | null;
};

/** Null while HAProxy answers, and where it was never to be asked. */
export async function blindnessOf(
  sight: Sight,
  reload: ReloadConfig,
  memory: ApplierMemory,
): Promise<Blind | null> {
  if (sight.kind === "seen" || !sight.isSocketGone) return null;
  const known =
    reload.kind === "pidFile" ? await masterInPidFile(reload.path) : (memory.loaded?.master ?? null);
  return { problem: sight.problem, master: known !== null && isRunning(known) ? known : null };
}

/** HAProxy runs as it should; what an operator should mend all the same. */
export function blindWarning({ problem }: Blind): string {
  return `${problem}; HAProxy runs, and until it can be asked every change is a reload: to mend it, ${SOCKET_REMEDY}`;
}

export function unprovenError({ problem }: Blind): string {
  return `${problem}; HAProxy was told to reload, but nothing can show that it did: if it runs, ${SOCKET_REMEDY}`;
}
