import { markerOf } from "../../common/model/generation.js";
import type { ApplierMemory } from "./memory.js";
import type { RunningProxy } from "./runtime.js";

/**
 * Which structure the running worker has loaded; null when nobody can tell. Three proofs, the strongest
 * first: we saw this very worker load it; its generation marker is the file's; or (marker mode, where the
 * worker cannot carry a marker) the file is unchanged since we last saw it loaded, so whoever started this
 * worker started it with the same file.
 */
export function runningStructure(
  running: RunningProxy,
  known: {
    readonly memory: ApplierMemory;
    readonly owned: "all" | "markers";
    /** The file on disk; null: none. */
    readonly disk: {
      readonly checksum: string;
      readonly structure: string;
      readonly generation: string;
    } | null;
  },
): string | null {
  const { memory, owned, disk } = known;
  const { loaded } = memory;
  if (loaded !== null && loaded.worker !== null && loaded.worker === running.worker) return loaded.structure;
  if (disk === null) return null;
  if (owned === "all")
    return running.marker !== "" && running.marker === markerOf(disk.generation) ? disk.structure : null;
  return loaded !== null && loaded.checksum === disk.checksum ? loaded.structure : null;
}
