import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

type Ending = () => unknown;

/** What each test still has to end, oldest first. */
const owners = new WeakMap<object, Ending[]>();

/**
 * Runs something when the test ends, newest first and one after the other: what was started last may use what
 * was made before it, such as a server its folder. (`t.after` runs in the order of registration.) One that
 * fails does not keep the others from running; the first failure is the test's.
 */
export function atEnd(t: Pick<TestContext, "after">, ending: Ending): void {
  const known = owners.get(t);
  if (known !== undefined) {
    known.push(ending);
    return;
  }
  const mine = [ending];
  owners.set(t, mine);
  t.after(async () => {
    const failures: unknown[] = [];
    for (let next = mine.pop(); next !== undefined; next = mine.pop()) {
      try {
        await next();
      } catch (thrown) {
        failures.push(thrown);
      }
    }
    if (failures.length > 0) throw failures[0];
  });
}

/** A new folder that is removed when the test ends, after everything that was started later. */
export async function temporaryFolder(t: Pick<TestContext, "after">, prefix = "duck-"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix));
  atEnd(t, () => rm(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}
