import { ClusterduckError } from "../../common/errors.js";
import type { RaftCore } from "../raft/core.js";
import type { LogPosition } from "./replicated-log.js";

/** Kept in memory before a snapshot, so that a peer that lags a little does not need all of that. */
const KEPT_ENTRIES = 10_000;
const KEPT_BYTES = 16 * 1024 * 1024;

/** Up to which entry the core may forget its log once there is a snapshot of `index`. */
export function compactTo(core: RaftCore, index: number): number {
  const least = Math.max(core.base.index, index - KEPT_ENTRIES);
  let bytes = 0;
  let upTo = index;
  for (; upTo > least; upTo--) {
    bytes += core.entry(upTo)?.payload.length ?? 0;
    if (bytes > KEPT_BYTES) break;
  }
  return upTo;
}

/**
 * A snapshot may take the place only of what is committed, and of more than the one before.
 * @param newest index of the newest snapshot on the disk
 * @param delivered index up to which entries are committed, and durable here
 * @throws ClusterduckError CONFLICT
 */
export function assertReplaceable(
  core: RaftCore,
  last: LogPosition,
  { newest, delivered }: { readonly newest: number; readonly delivered: number },
): void {
  if (last.index <= newest || last.index <= core.base.index) {
    throw new ClusterduckError(
      "CONFLICT",
      `Cannot save a snapshot of index ${last.index}: there is one of index ${newest}`,
    );
  }
  const term = core.termAt(last.index);
  if (last.index <= delivered && term === last.term) return;
  const found = last.index > delivered ? `only ${delivered} is committed` : `it has term ${term}`;
  throw new ClusterduckError(
    "CONFLICT",
    `Cannot save a snapshot of index ${last.index} and term ${last.term}: in the log, ${found}`,
  );
}
