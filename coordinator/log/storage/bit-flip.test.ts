/** One bit of what a stopped member has on its disk turns over: it is refused, or it was one that says nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../common/clock.js";
import { ClusterduckError } from "../../../common/errors.js";
import { silentLogger } from "../../../common/logger.js";
import { seededRandom } from "../../../common/random.js";
import type { Random } from "../../../common/random.js";
import type { Entry } from "../../raft/entry.js";
import { SimulatedDisk } from "../../../test/support/simulated-disk.js";
import { fc, runs } from "../../../test/support/properties.js";
import { LogStorage } from "./log-storage.js";
import { parseSnapshotFile } from "./snapshot-file.js";
import { verifyLog } from "./verify.js";

const SEGMENT_BYTES = 16 * 1024;
const MEMBERS = [
  { id: "c1", role: "voter", address: "10.0.0.1:9910" },
  { id: "c2", role: "learner", address: "10.0.0.2:9910" },
] as const;

/** Where in a file, 0 to 1 of the part in use, or beyond it. */
const place = fc.record({
  seed: fc.nat(),
  file: fc.nat(),
  isInUse: fc.boolean(),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  bit: fc.nat(7),
});

test("no flipped bit anywhere is taken for what was written", async () => {
  const seen = { refused: 0, harmless: 0 };
  await fc.assert(
    fc.asyncProperty(place, async ({ seed, file, isInUse, at, bit }) => {
      const disk = await written(seed);
      const before = await contentOf(disk);
      const files = disk.paths().filter((path) => /\.(wal|snap)$/.test(path));
      const path = files[file % files.length] ?? "";
      const used = isInUse ? await usedBytes(disk, path) : disk.bytesOf(path).length;
      const offset = Math.floor(at * used);
      disk.flipBit(path, offset, 1 << bit);

      const result = await open(disk).then(
        async (storage) => {
          await storage.close();
          return null;
        },
        (thrown: unknown) => thrown,
      );

      if (result === null) {
        seen.harmless++;
        // It was in a place where nothing is written yet, or in an older snapshot, which is checked when it is needed.
        assert.ok(
          offset >= (await usedBytes(disk, path)) || isOlderSnapshot(path, files),
          `${path} ${offset}`,
        );
        assert.deepEqual(await contentOf(disk), before);
        return;
      }
      seen.refused++;
      assert.ok(result instanceof ClusterduckError, "refused in other words");
      assert.equal(result.code, "LOG_CORRUPT");
      assert.ok(result.message.includes(path), `${path}: ${result.message}`);
      const told = Number(/at offset (\d+)/.exec(result.message)?.[1]);
      assert.ok(told <= offset, `${offset}: ${result.message}`);
      assert.match(result.hint ?? "", /coordinators remove c1|Move .* away and start again/);
    }),
    runs(150),
  );
  assert.ok(seen.refused > 0 && seen.harmless > 0, JSON.stringify(seen));
});

test("a bit of an older snapshot that was flipped is found when that snapshot is needed", async () => {
  const disk = await written(1);
  const [older = "", newer = ""] = disk.paths().filter((path) => path.endsWith(".snap"));
  disk.flipBit(older, disk.bytesOf(older).length - 20, 1);
  disk.removeFile(newer);

  const thrown = await open(disk).then(
    () => null,
    (error: unknown) => error,
  );
  const report = await verifyLog("/log", disk.attach());

  assert.ok(thrown instanceof ClusterduckError);
  assert.equal(thrown.code, "LOG_CORRUPT");
  assert.ok(report.damages.some(({ file }) => file === older));
});

/** A log with a history: several segments, conflicts, votes, two snapshots. Closed. */
async function written(seed: number): Promise<SimulatedDisk> {
  const random = seededRandom(seed);
  const disk = new SimulatedDisk({ random });
  const storage = await open(disk);
  let term = 1;
  for (let round = 1; round <= 40; round++) {
    const { last, base } = storage;
    if (random() < 0.2) term++;
    const hardState = {
      term,
      vote: random() < 0.5 ? "c1" : null,
      commit: Math.max(base.index, last.index - 3),
    };
    const isConflict = random() < 0.2 && last.index > hardState.commit;
    const after = isConflict ? last.index - 1 : last.index;
    const count = Math.floor(random() * 4);
    await storage.append({
      ...(isConflict ? { truncateAfter: after } : {}),
      entries: Array.from({ length: count }, (_, at) => entry(after + 1 + at, term, random)),
      hardState,
    });
    if (round % 15 !== 0) continue;
    const index = hardState.commit;
    const position = { index, term: storage.termAt(index) ?? 0 };
    if (index <= base.index) continue;
    await storage.saveSnapshot({ last: position, data: text(2_000, random) }, MEMBERS);
  }
  await storage.close();
  return disk;
}

function open(disk: SimulatedDisk): Promise<LogStorage> {
  return LogStorage.open({
    ...{ directory: "/log", memberId: "c1", clusterId: "t", segmentBytes: SEGMENT_BYTES, reserveBytes: 0 },
    ...{ disk: disk.attach(), clock: systemClock, logger: silentLogger },
  });
}

async function contentOf(disk: SimulatedDisk): Promise<unknown> {
  const storage = await open(disk);
  const { hardState, base, membership, entries } = storage;
  const snapshot = await storage.loadSnapshot();
  const content = { hardState, base, membership, entries: [...entries], snapshot };
  await storage.close();
  return content;
}

async function usedBytes(disk: SimulatedDisk, path: string): Promise<number> {
  const report = await verifyLog("/log", disk.attach());
  const segment = report.segments.find(({ file }) => path.endsWith(file));
  return segment?.usedBytes ?? disk.bytesOf(path).length;
}

function isOlderSnapshot(path: string, files: readonly string[]): boolean {
  const snapshots = files.filter((file) => parseSnapshotFile(file.slice("/log/".length)) !== null);
  return snapshots.includes(path) && snapshots.at(-1) !== path;
}

function entry(index: number, term: number, random: Random): Entry {
  const isNoop = random() < 0.1;
  const payload = isNoop ? new Uint8Array(0) : text(Math.floor(random() ** 3 * 3_000), random);
  return { index, term, kind: isNoop ? "noop" : "command", payload };
}

/** Commands and states are text, so no byte of theirs is zero. */
function text(bytes: number, random: Random): Uint8Array {
  return Uint8Array.from({ length: bytes }, () => 32 + Math.floor(random() * 90));
}
