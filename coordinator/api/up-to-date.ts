import type { Replica } from "../replica.js";

/** Waits until everything acknowledged before is applied here, unless the caller takes what there is. */
export async function upToDate(
  replica: Pick<Replica, "readBarrier">,
  request: { readonly isStale: boolean },
): Promise<void> {
  if (!request.isStale) await replica.readBarrier();
}
