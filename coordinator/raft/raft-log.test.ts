import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fc } from "../../test/support/properties.js";
import { Durability } from "./durability.js";
import { BEFORE_ALL, entryBytes } from "./entry.js";
import type { Entry } from "./entry.js";
import { NO_HARD_STATE } from "./hard-state.js";
import { InvariantViolation } from "./invariant.js";
import { encodeMembership } from "./membership.js";
import type { Membership } from "./membership.js";
import { RaftLog } from "./raft-log.js";

const FOUNDERS: Membership = [{ id: "a", role: "voter", address: "" }];

describe("terms and positions", () => {
  test("index 0 has term 0, and what is not there has none", () => {
    const log = logOf(1, 1, 2);

    assert.deepEqual(
      [0, 1, 3, 4].map((index) => log.termAt(index)),
      [0, 1, 2, null],
    );
    assert.equal(log.has({ index: 3, term: 2 }), true);
    assert.equal(log.has({ index: 3, term: 1 }), false);
    assert.equal(log.has({ index: 4, term: 0 }), false);
  });

  test("the base is known after a compaction, what is before it is not", () => {
    const log = logOf(1, 1, 2, 2);
    log.commitTo(3);

    log.compact(2, { index: 3, term: 2 });

    assert.deepEqual(
      [1, 2, 3, 4].map((index) => log.termAt(index)),
      [null, 1, 2, 2],
    );
    assert.deepEqual(log.snapshot.last, { index: 3, term: 2 });
  });

  test("lastAgreeing() finds the last place that could agree", () => {
    const log = logOf(1, 1, 2, 4, 4, 6);

    assert.equal(log.lastAgreeing({ index: 6, term: 6 }), 6);
    assert.equal(log.lastAgreeing({ index: 9, term: 6 }), 6);
    assert.equal(log.lastAgreeing({ index: 6, term: 5 }), 5);
    assert.equal(log.lastAgreeing({ index: 5, term: 3 }), 3);
    assert.equal(log.lastAgreeing({ index: 1, term: 9 }), 1);
    assert.equal(log.lastAgreeing({ index: 6, term: 0 }), 0);
  });

  test("lastAgreeing() goes before the base where that is later than the place asked for", () => {
    const log = logOf(1, 1, 2, 4);
    log.commitTo(4);
    log.compact(3, { index: 3, term: 2 });

    assert.equal(log.lastAgreeing({ index: 4, term: 1 }), 2);
    assert.equal(log.lastAgreeing({ index: 1, term: 1 }), 1);
  });
});

describe("entriesAfter()", () => {
  test("takes as many as fit, and always one", () => {
    const log = logOf(1, 1, 1);
    const size = entryBytes(log.entry(1) ?? fail());

    assert.deepEqual(indexes(log.entriesAfter(0)), [1, 2, 3]);
    assert.deepEqual(indexes(log.entriesAfter(0, 2 * size)), [1, 2]);
    assert.deepEqual(indexes(log.entriesAfter(1, 1)), [2]);
    assert.deepEqual(indexes(log.entriesAfter(0, Infinity, 2)), [1, 2]);
    assert.deepEqual(indexes(log.entriesAfter(3)), []);
  });

  test("stops the process where entries are asked for that are gone", () => {
    const log = logOf(1, 1, 1);
    log.commitTo(3);
    log.compact(2, { index: 2, term: 1 });

    assert.throws(() => log.entriesAfter(1), InvariantViolation);
  });
});

describe("what never happens", () => {
  const cases: Readonly<Record<string, (log: RaftLog) => void>> = {
    "a committed entry is replaced": (log) => log.accept(BEFORE_ALL, [entry(1, 9)]),
    "entries have a hole": (log) => log.accept({ index: 3, term: 2 }, [entry(5, 2)]),
    "terms go back": (log) => log.append(1, "command", [new Uint8Array(0)]),
    "entries follow on what is not there": (log) => log.accept({ index: 4, term: 2 }, [entry(5, 2)]),
    "something that is not there is committed": (log) => log.commitTo(4),
    "a snapshot older than what is committed replaces the log": (log) =>
      log.restore({ last: { index: 1, term: 1 }, membership: [] }),
    "what is not committed is compacted": (log) => log.compact(3, { index: 3, term: 2 }),
    "a snapshot has another term than the log": (log) => log.compact(1, { index: 2, term: 7 }),
  };
  for (const [name, act] of Object.entries(cases)) {
    test(`${name}: the process stops`, () => {
      const log = logOf(1, 1, 2);
      log.commitTo(2);

      assert.throws(() => act(log), InvariantViolation);
    });
  }

  test("a log is shorter than what was committed: the process does not start", () => {
    const begin = () =>
      new RaftLog({ last: BEFORE_ALL, membership: [] }, [], 1, new Durability(0, NO_HARD_STATE));

    assert.throws(begin, InvariantViolation);
  });
});

test("a snapshot older than the one there is does not take its place", () => {
  const log = logOf(1, 1, 2);
  log.commitTo(3);
  log.compact(1, { index: 3, term: 2 });

  log.compact(2, { index: 2, term: 1 });

  assert.deepEqual([log.snapshot.last.index, log.base.index], [3, 2]);
});

test("compacting up to where the log already begins changes nothing", () => {
  const log = logOf(1, 1, 2);
  log.commitTo(3);
  log.compact(2, { index: 2, term: 1 });

  log.compact(1, { index: 2, term: 1 });

  assert.deepEqual([log.base, log.last.index], [{ index: 2, term: 1 }, 3]);
});

test("after a snapshot nothing is uncommitted", () => {
  const log = logOf(1, 1, 2);

  log.restore({ last: { index: 7, term: 3 }, membership: [] });

  assert.deepEqual([log.uncommittedBytes, log.commit, log.last], [0, 7, { index: 7, term: 3 }]);
});

test("commitTo() never goes back", () => {
  const log = logOf(1, 1, 1);
  log.commitTo(2);

  log.commitTo(1);

  assert.equal(log.commit, 2);
});

describe("members", () => {
  const members = (index: number, id: string): Entry => {
    const payload = encodeMembership([{ id, role: "voter", address: "" }]);
    return { index, term: 1, kind: "members", payload };
  };

  test("the newest members entry counts, and a truncation brings the one before back", () => {
    const log = logOf(1);
    log.accept({ index: 1, term: 1 }, [members(2, "b"), entry(3, 1), members(4, "c")]);
    assert.deepEqual([log.history.current[0]?.id, log.history.currentIndex], ["c", 4]);

    log.accept({ index: 3, term: 1 }, [entry(4, 2)]);
    assert.deepEqual([log.history.current[0]?.id, log.history.currentIndex], ["b", 2]);
    log.accept({ index: 1, term: 1 }, [entry(2, 3)]);

    assert.deepEqual([log.history.current, log.history.currentIndex], [FOUNDERS, 0]);
  });

  test("a snapshot is marked with the members as of its last entry", () => {
    const log = logOf(1);
    log.accept({ index: 1, term: 1 }, [members(2, "b"), members(3, "c")]);
    log.commitTo(3);

    log.compact(1, { index: 2, term: 1 });

    assert.equal(log.snapshot.membership[0]?.id, "b");
    assert.equal(log.history.current[0]?.id, "c");
    log.compact(3, { index: 3, term: 1 });
    assert.equal(log.snapshot.membership[0]?.id, "c");
  });
});

test("uncommittedBytes is always the size of what is not committed", () => {
  const term = fc.integer({ min: 1, max: 3 });
  const action = fc.oneof(
    fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ kind: fc.constant("accept" as const), back: fc.nat(4), count: fc.nat(3), term }),
    fc.record({ kind: fc.constant("commit" as const), ahead: fc.nat(3) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const log = logOf();
      let latest = 1;
      for (const act of actions) {
        if (act.kind === "append") {
          log.append(
            latest,
            "command",
            Array.from({ length: act.count }, () => new Uint8Array(act.count)),
          );
        } else if (act.kind === "commit") {
          log.commitTo(Math.min(log.last.index, log.commit + act.ahead));
        } else {
          latest += act.term;
          const index = Math.max(log.commit, log.last.index - act.back);
          const entries = Array.from({ length: act.count }, (_, at) => entry(index + 1 + at, latest));
          log.accept({ index, term: log.termAt(index) ?? fail() }, entries);
        }

        const open = log.entriesAfter(log.commit);
        assert.equal(
          log.uncommittedBytes,
          open.reduce((sum, each) => sum + entryBytes(each), 0),
        );
      }
    }),
  );
});

function logOf(...terms: readonly number[]): RaftLog {
  const entries = terms.map((term, at) => entry(at + 1, term));
  const durability = new Durability(terms.length, NO_HARD_STATE);
  return new RaftLog({ last: BEFORE_ALL, membership: FOUNDERS }, entries, 0, durability);
}

function entry(index: number, term: number): Entry {
  return { index, term, kind: "command", payload: new Uint8Array(10) };
}

function indexes(entries: readonly Entry[]): readonly number[] {
  return entries.map((each) => each.index);
}

function fail(): never {
  throw new Error("There is no such entry");
}
