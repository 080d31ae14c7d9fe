import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/at-end.js";
import { systemClock } from "../../common/clock.js";
import { silentLogger } from "../../common/logger.js";
import { realDisk } from "../log/storage/disk.js";
import { LogStorage } from "../log/storage/log-storage.js";
import { readNewestMembers } from "../log/storage/newest-members.js";
import { encodeMembership, foundingEntry } from "../raft/membership.js";
import { assertOneTier, beginAgain, bestOf } from "./recover-quorum.js";
import type { Survivor } from "./recover-quorum.js";
import { newTierFile, readTierFile, writeTierFile } from "./tier-file.js";

const survivor = (
  coordinatorId: string,
  term: number,
  index: number,
  changes: Partial<Survivor> = {},
): Survivor => ({
  directory: `/data/${coordinatorId}`,
  coordinatorId,
  clusterId: "k1",
  term: 9,
  last: { index, term },
  problem: null,
  ...changes,
});

test("the later last term has the most, then the longer log; the first of equals", () => {
  const long = survivor("c1", 3, 900);
  const late = survivor("c2", 4, 100);
  const later = survivor("c3", 4, 101);

  assert.equal(bestOf([long, late])?.coordinatorId, "c2");
  assert.equal(bestOf([late, later, long])?.coordinatorId, "c3");
  assert.equal(bestOf([late, { ...late, coordinatorId: "c9" }])?.coordinatorId, "c2");
});

test("a damaged log is never begun from", () => {
  const damaged = survivor("c1", 9, 900, { problem: "damaged" });

  assert.equal(bestOf([damaged, survivor("c2", 1, 1)])?.coordinatorId, "c2");
  assert.equal(bestOf([damaged]), null);
});

test("whoever begins again is alone, of another incarnation, in a term that nobody has come to, and names all it leaves", async (t) => {
  const directory = await temporaryFolder(t, "duck-recover-");
  const named = { directory, coordinatorId: "c1", clusterId: "k1" };
  const members = ["c1", "c2", "c3"].map((id) => ({ id, role: "voter" as const, address: `${id}:1` }));
  const storage = await LogStorage.open({
    ...{ directory, memberId: "c1", clusterId: "k1", disk: realDisk, clock: systemClock },
    logger: silentLogger,
  });
  await storage.append({
    entries: [
      foundingEntry(members.slice(0, 2)),
      { index: 2, term: 3, kind: "members", payload: encodeMembership(members) },
    ],
    hardState: { term: 8, vote: null, commit: 1 },
  });
  await storage.close();
  await writeTierFile(directory, { ...newTierFile("c1"), clusterId: "k1", hasLog: true });

  const options = { address: "c1:1", clock: systemClock, logger: silentLogger };
  const { last, lost } = await beginAgain(named, options);
  const first = await readTierFile(directory);
  await beginAgain(named, options);
  const second = await readTierFile(directory);

  assert.deepEqual([last, lost], [{ index: 3, term: 8 + 2 ** 20 }, ["c2", "c3"]]);
  assert.deepEqual(await readNewestMembers(directory), members.slice(0, 1));
  const incarnations = ["", first?.incarnation, second?.incarnation];
  assert.equal(new Set(incarnations).size, 3);
  assert.deepEqual([second?.clusterId, second?.diskId], ["k1", first?.diskId]);
});

test("directories of different tiers are not compared", () => {
  const other = survivor("c2", 1, 1, { clusterId: "k2" });

  assert.throws(() => assertOneTier([survivor("c1", 1, 1), other]), { message: /2 tiers: k1, k2/ });
  assert.doesNotThrow(() => assertOneTier([survivor("c1", 1, 1), { ...other, clusterId: "" }]));
});
