import assert from "node:assert/strict";
import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { temporaryFolder } from "../../test/support/at-end.js";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/logger.js";
import { openSingleMemberLog } from "../log/single-member-log.js";
import { realDisk } from "../log/storage/disk.js";
import { LogStorage } from "../log/storage/log-storage.js";
import { foundingEntry } from "../raft/membership.js";
import { assertTierFileNotLost } from "./missing-tier-file.js";
import { beginAgain } from "./recover-quorum.js";

const outside = { clock: systemClock, logger: silentLogger };

/** A directory with c1's log, which names these members; without any, it waits to be told. */
async function withLog(
  t: TestContext,
  ids: readonly string[],
  change: { readonly hasSnapshot?: true; readonly clusterId?: string } = {},
): Promise<string> {
  const { hasSnapshot, clusterId = "k1" } = change;
  const directory = await temporaryFolder(t, "duck-lost-");
  const storage = await LogStorage.open({ directory, memberId: "c1", clusterId, disk: realDisk, ...outside });
  if (ids.length > 0) {
    const members = ids.map((id) => ({ id, role: "voter" as const, address: `${id}:1` }));
    const entry = foundingEntry(members);
    const { index, term } = entry;
    await storage.append({ entries: [entry], hardState: { term, vote: null, commit: index } });
    if (hasSnapshot === true) {
      await storage.saveSnapshot({ last: { index, term }, data: new Uint8Array(8) }, members);
    }
  }
  await storage.close();
  return directory;
}

test("a member whose tier.json is missing is refused, with the file, what it is for, the others and what helps", async (t) => {
  const directory = await withLog(t, ["c1", "c2", "c3"]);

  await assert.rejects(assertTierFileNotLost("c1", directory), ({ code, message, hint }: Failure) => {
    assert.equal(code, "LOG_CORRUPT");
    assert.ok(message.includes(`"${join(directory, "tier.json")}" is missing`), message);
    assert.match(message, /which incarnation of tier k1 .* with "c2", "c3"$/);
    assert.match(hint, /from a backup.*coordinators remove c1.*coordinators add ID.*recover-quorum/);
    return true;
  });
});

test("so is one whose log is a snapshot, and one that waits to be told who the members are", async (t) => {
  const compacted = await withLog(t, ["c1", "c2"], { hasSnapshot: true });
  const waiting = await withLog(t, []);

  await assert.rejects(assertTierFileNotLost("c1", compacted), { message: /is one with "c2"$/ });
  await assert.rejects(assertTierFileNotLost("c1", waiting), { message: /by its log it is one$/ });
});

test("nobody else is left after recover-quorum, which needs no tier.json either", async (t) => {
  const directory = await withLog(t, ["c1", "c2"]);

  await beginAgain({ directory, coordinatorId: "c1", clusterId: "" }, { address: "c1:1", ...outside });

  assert.equal(await assertTierFileNotLost("c1", directory), true);
});

test("an empty directory and the log of a coordinator that stands alone are as they should be", async (t) => {
  const empty = await temporaryFolder(t, "duck-empty-");
  const alone = await temporaryFolder(t, "duck-alone-");
  const log = await openSingleMemberLog({ dir: alone, memberId: "c1", ...outside });
  await log.close();

  assert.equal(await assertTierFileNotLost("c1", empty), true);
  assert.equal(await assertTierFileNotLost("c1", join(empty, "none")), true);
  assert.equal(await assertTierFileNotLost("c1", alone), true);
});

test("what is wrong with a damaged log, or with another coordinator's, is left to whoever opens it", async (t) => {
  const damaged = await withLog(t, ["c1", "c2"]);
  const [segment = ""] = (await readdir(damaged)).filter((name) => name.endsWith(".wal"));
  await truncate(join(damaged, segment), 3);
  const others = await withLog(t, ["c1", "c2"]);

  assert.equal(await assertTierFileNotLost("c1", damaged), false);
  assert.equal(await assertTierFileNotLost("c9", others), false);
});

type Failure = { readonly code: string; readonly message: string; readonly hint: string };
