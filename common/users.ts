import { readFile } from "node:fs/promises";

import { ClusterduckError } from "./errors.js";

/**
 * Finds a local account by name or number.
 * @throws ClusterduckError NOT_FOUND when /etc/passwd has no such account.
 */
export async function lookUpUser(nameOrUid: string): Promise<{ uid: number; gid: number }> {
  const accounts = (await readFile("/etc/passwd", "utf8")).split("\n").map((line) => line.split(":"));
  const account = accounts.find(([name, , uid]) => name === nameOrUid || uid === nameOrUid);
  const [uid, gid] = [Number(account?.[2]), Number(account?.[3])];
  if (account === undefined || !Number.isInteger(uid) || !Number.isInteger(gid)) {
    throw new ClusterduckError(
      "NOT_FOUND",
      `Cannot run as user ${JSON.stringify(nameOrUid)}: no such account`,
    );
  }
  return { uid, gid };
}
