import { ClusterduckError } from "../../common/errors.js";
import type { Replica } from "../replica.js";

/** Waits until everything acknowledged before is applied here, unless the caller takes what there is. */
export async function upToDate(
  replica: Pick<Replica, "readBarrier">,
  request: { readonly isStale: boolean },
): Promise<void> {
  if (!request.isStale) await replica.readBarrier();
}

/**
 * Looks something up for a change. That it is not there is believed only of the newest state: a leader may have
 * taken over a moment ago, or have been replaced without knowing it, and lack what was acknowledged elsewhere.
 * @throws what `look` throws then, and as `readBarrier`.
 */
export async function foundInNewest<Found>(
  replica: Pick<Replica, "readBarrier">,
  look: () => Found,
): Promise<Found> {
  try {
    return look();
  } catch (thrown) {
    if (!(thrown instanceof ClusterduckError && thrown.code === "NOT_FOUND")) throw thrown;
  }
  await replica.readBarrier();
  return look();
}
