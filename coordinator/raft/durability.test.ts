import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "../../test/support/properties.js";
import { Durability } from "./durability.js";
import { BEFORE_ALL } from "./entry.js";
import type { Entry } from "./entry.js";
import { NO_HARD_STATE } from "./hard-state.js";
import { InvariantViolation } from "./invariant.js";
import { RaftLog } from "./raft-log.js";
import type { Write } from "./ready.js";

const NO_MESSAGES = () => [];

test("nothing new is no write, and neither is a commit index alone", () => {
  const { durability, log } = fresh();

  assert.equal(durability.next(log, NO_HARD_STATE, NO_MESSAGES), null);
  log.append(1, "command", [new Uint8Array(1)]);
  const state = { term: 1, vote: null, commit: 0 };
  durability.finish(durability.next(log, state, NO_MESSAGES)?.id ?? 0);
  log.commitTo(1);

  assert.equal(durability.next(log, { ...state, commit: 1 }, NO_MESSAGES), null);
});

test("a second write waits for the first, and takes all that has gathered", () => {
  const { durability, log } = fresh();
  log.append(1, "command", [new Uint8Array(1)]);
  const first = durability.next(log, NO_HARD_STATE, NO_MESSAGES);
  log.append(1, "command", [new Uint8Array(1), new Uint8Array(1)]);
  log.append(1, "command", [new Uint8Array(1)]);

  assert.equal(durability.next(log, NO_HARD_STATE, NO_MESSAGES), null);
  durability.finish(first?.id ?? 0);
  assert.equal(durability.persisted, 1);
  const second = durability.next(log, NO_HARD_STATE, NO_MESSAGES);

  assert.deepEqual(
    second?.entries.map((entry) => entry.index),
    [2, 3, 4],
  );
});

test("a report about another write than the running one stops the process", () => {
  const { durability, log } = fresh();
  log.append(1, "command", [new Uint8Array(1)]);
  const write = durability.next(log, NO_HARD_STATE, NO_MESSAGES);

  assert.throws(() => durability.finish((write?.id ?? 0) + 1), InvariantViolation);
  durability.finish(write?.id ?? 0);
  assert.throws(() => durability.finish(write?.id ?? 0), InvariantViolation);
});

test("a write says nothing about entries that have taken the place of its own (ABA)", () => {
  const { durability, log } = fresh();
  log.append(1, "command", [new Uint8Array(1), new Uint8Array(1), new Uint8Array(1)]);
  const first = durability.next(log, NO_HARD_STATE, NO_MESSAGES);
  log.accept({ index: 1, term: 1 }, [entry(2, 2), entry(3, 2)]);

  durability.finish(first?.id ?? 0);

  assert.equal(durability.persisted, 1);
  const second = durability.next(log, NO_HARD_STATE, NO_MESSAGES);
  assert.equal(second?.truncateAfter, 1);
  durability.finish(second.id);
  assert.equal(durability.persisted, 3);
});

test("what was replaced before it was ever written needs no truncation", () => {
  const { durability, log } = fresh();
  log.append(1, "command", [new Uint8Array(1), new Uint8Array(1)]);
  log.accept({ index: 1, term: 1 }, [entry(2, 2)]);

  const write = durability.next(log, NO_HARD_STATE, NO_MESSAGES);

  assert.equal(write?.truncateAfter, undefined);
  assert.deepEqual(
    write?.entries.map(({ term }) => term),
    [1, 2],
  );
});

test("a snapshot makes everything before it void, also the write that runs", () => {
  const { durability, log } = fresh();
  log.append(1, "command", [new Uint8Array(1), new Uint8Array(1)]);
  const first = durability.next(log, NO_HARD_STATE, NO_MESSAGES);
  const snapshot = { last: { index: 9, term: 4 }, membership: [] };
  log.restore(snapshot);
  log.accept(snapshot.last, [entry(10, 4)]);

  durability.finish(first?.id ?? 0);
  assert.equal(durability.persisted, 0);
  const second = durability.next(log, NO_HARD_STATE, NO_MESSAGES);
  assert.deepEqual([second?.snapshot, second?.truncateAfter], [snapshot, undefined]);
  durability.finish(second?.id ?? 0);

  assert.equal(durability.persisted, 10);
});

test("a write's age is counted while it runs", () => {
  const { durability, log } = fresh();
  durability.tick();
  assert.equal(durability.writeTicks, 0);
  log.append(1, "command", [new Uint8Array(1)]);
  const write = durability.next(log, NO_HARD_STATE, NO_MESSAGES);

  durability.tick();
  durability.tick();

  assert.equal(durability.writeTicks, 2);
  durability.finish(write?.id ?? 0);
  assert.equal(durability.writeTicks, 0);
});

test("a disk that does what the writes say holds what is claimed, at any time", () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant("append" as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({
      kind: fc.constant("replace" as const),
      back: fc.nat(4),
      count: fc.integer({ min: 1, max: 3 }),
    }),
    fc.record({ kind: fc.constant("commit" as const), ahead: fc.nat(3) }),
    fc.record({ kind: fc.constant("snapshot" as const), ahead: fc.nat(3) }),
    fc.constant({ kind: "begin" as const }),
    fc.constant({ kind: "finish" as const }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const { durability, log } = fresh();
      const disk = new DiskModel();
      let running: Write | null = null;
      let term = 1;
      for (const act of actions) {
        switch (act.kind) {
          case "append":
            log.append(
              term,
              "command",
              Array.from({ length: act.count }, () => new Uint8Array(1)),
            );
            break;
          case "replace": {
            const index = Math.max(log.commit, log.last.index - act.back);
            term++;
            const entries = Array.from({ length: act.count }, (_, at) => entry(index + 1 + at, term));
            log.accept({ index, term: log.termAt(index) ?? 0 }, entries);
            break;
          }
          case "commit":
            log.commitTo(Math.min(log.last.index, log.commit + act.ahead));
            break;
          case "snapshot":
            term++;
            log.restore({ last: { index: log.last.index + 1 + act.ahead, term }, membership: [] });
            break;
          case "begin":
            running ??= durability.next(log, NO_HARD_STATE, NO_MESSAGES);
            break;
          case "finish":
            if (running === null) break;
            disk.take(running);
            durability.finish(running.id);
            running = null;
        }

        for (let index = log.base.index + 1; index <= durability.persisted; index++) {
          assert.equal(disk.termAt(index), log.termAt(index));
        }
      }
      // In the end disk and memory agree.
      for (const write of [running, null]) {
        const last = write ?? durability.next(log, NO_HARD_STATE, NO_MESSAGES);
        if (last === null) continue;
        disk.take(last);
        durability.finish(last.id);
      }
      assert.deepEqual([disk.last, durability.persisted], [log.last.index, log.last.index]);
    }),
  );
});

/** What storage does with a write. It refuses what would leave a hole. */
class DiskModel {
  #base = 0;
  #terms: number[] = [];

  get last(): number {
    return this.#base + this.#terms.length;
  }

  termAt(index: number): number | undefined {
    return this.#terms[index - this.#base - 1];
  }

  take(write: Write): void {
    if (write.snapshot !== undefined) {
      this.#base = write.snapshot.last.index;
      this.#terms = [];
    }
    if (write.truncateAfter !== undefined) {
      assert(write.truncateAfter >= this.#base && write.truncateAfter <= this.last);
      this.#terms.length = write.truncateAfter - this.#base;
    }
    for (const each of write.entries) {
      assert.equal(each.index, this.last + 1);
      this.#terms.push(each.term);
    }
  }
}

function fresh(): { readonly durability: Durability; readonly log: RaftLog } {
  const durability = new Durability(0, NO_HARD_STATE);
  return { durability, log: new RaftLog({ last: BEFORE_ALL, membership: [] }, [], 0, durability) };
}

function entry(index: number, term: number): Entry {
  return { index, term, kind: "command", payload: new Uint8Array(1) };
}
