/** What a runner may rely on, and what it must not do. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fc, runs } from "../../test/support/properties.js";
import { seededRandom } from "../../common/random.js";
import { Tier } from "../../test/support/raft/tier.js";
import { RAFT_DEFAULTS } from "./config.js";
import type { RestoredState } from "./config.js";
import { RaftCore } from "./core.js";
import { BEFORE_ALL, entryBytes } from "./entry.js";
import { NO_HARD_STATE } from "./hard-state.js";
import { InvariantViolation } from "./invariant.js";
import { foundingEntry } from "./membership.js";
import { isIdle } from "./ready.js";

const MEMBERS = ["a", "b", "c"].map((id) => ({ id, role: "voter" as const, address: "" }));
const [ALONE] = MEMBERS;

describe("a start", () => {
  test("continues with the term, vote and commit index of before", () => {
    const core = start({ hardState: { term: 3, vote: "b", commit: 1 }, entries: entriesOf(1, 3) });

    const { term, vote, commit, role } = core.status();

    assert.deepEqual({ term, vote, commit, role }, { term: 3, vote: "b", commit: 1, role: "follower" });
  });

  test("hands out again what is committed, after the snapshot", () => {
    const core = start({ hardState: { term: 3, vote: null, commit: 2 }, entries: entriesOf(1, 3, 3) });

    assert.deepEqual(
      core.ready().committed.map((entry) => entry.index),
      [1, 2],
    );
  });

  test("counts as uncommitted only what is not known to be committed", () => {
    const core = start({ hardState: { term: 3, vote: null, commit: 2 }, entries: entriesOf(1, 3, 3) });

    assert.equal(core.status().uncommittedBytes, entryBytes({ payload: new Uint8Array(1) }));
  });

  test("knows the members from the log itself when the tier was founded with an entry", () => {
    const core = start({ base: { last: BEFORE_ALL, membership: [] }, entries: [foundingEntry(MEMBERS)] });

    assert.deepEqual(core.membership, MEMBERS);
  });

  test("a crash between a snapshot and its hard state leaves a term that is lifted, without a vote", () => {
    const base = { last: { index: 9, term: 5 }, membership: MEMBERS };

    const core = start({ hardState: { term: 3, vote: "b", commit: 2 }, base });

    const { term, vote, commit } = core.status();
    assert.deepEqual({ term, vote, commit }, { term: 5, vote: null, commit: 9 });
    assert.deepEqual(core.ready().write?.hardState, { term: 5, vote: null, commit: 9 });
  });

  test("is refused where acknowledged entries are missing, or the log has a hole", () => {
    const tooShort = () => start({ hardState: { term: 3, vote: null, commit: 4 }, entries: entriesOf(1, 3) });
    const withHole = () => start({ entries: entriesOf(1, 1, 1).filter((entry) => entry.index !== 2) });

    assert.throws(tooShort, InvariantViolation);
    assert.throws(withHole, InvariantViolation);
  });

  test("is refused with an election timeout that is no longer than a heartbeat", () => {
    const config = { ...RAFT_DEFAULTS, id: "a", random: () => 0, heartbeatTicks: 20 };

    assert.throws(() => new RaftCore(config, restored({})), InvariantViolation);
  });

  test("a single voter leads with its first write", () => {
    const core = start({ base: { last: BEFORE_ALL, membership: ALONE === undefined ? [] : [ALONE] } });

    core.persisted(core.ready().write?.id ?? 0);

    assert.equal(core.role, "leader");
  });
});

describe("ready()", () => {
  test("is idle when nothing is to be done", () => {
    const core = start({});
    core.ready();

    assert.equal(isIdle(core.ready()), true);
  });

  test("gives the next write only when the one before is durable", () => {
    const tier = led();
    tier.member("a").isDiskSlow = true;
    const core = tier.core("a");
    core.propose([new Uint8Array(1)]);
    const first = core.ready().write;
    core.propose([new Uint8Array(1), new Uint8Array(1)]);

    assert.equal(core.ready().write, null);
    core.persisted(first?.id ?? 0);

    assert.equal(core.ready().write?.entries.length, 2);
  });

  test("holds a promise back while a write runs, even when it needs none of its own", () => {
    const tier = led();
    tier.propose("a", "x");
    const [message] = tier.queue.filter(({ to }) => to === "b");
    assert(message !== undefined);
    const core = tier.core("b");
    core.step(message);
    const write = core.ready().write;
    core.step(message);

    assert.deepEqual(core.ready().messages, []);
    core.persisted(write?.id ?? 0);

    assert.deepEqual(
      core.ready().messages.map(({ kind }) => kind),
      ["appendReply"],
    );
  });

  test("hands out committed entries in order, so many at a time, and only what is durable here", () => {
    const tier = new Tier({ voters: ["a"], config: { maxCommittedBytes: 100 } });
    const core = tier.core("a");
    core.propose(Array.from({ length: 5 }, () => new Uint8Array(10)));
    const { write, committed } = core.ready();
    assert.deepEqual(committed, []);
    core.persisted(write?.id ?? 0);

    const batches: number[][] = [];
    for (let ready = core.ready(); ready.committed.length > 0; ready = core.ready()) {
      batches.push(ready.committed.map((entry) => entry.index));
    }

    assert.deepEqual(batches, [[2, 3], [4, 5], [6]]);
  });

  test("counts the own vote with the write that holds it, not with the one before", () => {
    const core = start({ base: { last: BEFORE_ALL, membership: MEMBERS.slice(0, 2) } });
    const entry = { ...foundingEntry(MEMBERS.slice(0, 1)), term: 2 };
    const previous = BEFORE_ALL;
    core.step({ from: "b", to: "a", term: 2, kind: "append", previous, entries: [entry], commit: 1 });
    const first = core.ready().write;
    // b has made a the only voter, and is gone.
    core.tick();

    core.persisted(first?.id ?? 0);
    assert.equal(core.role, "candidate");
    core.persisted(core.ready().write?.id ?? 0);

    assert.equal(core.role, "leader");
  });

  test("tells a change of leadership once", () => {
    const core = start({});
    core.step({ from: "b", to: "a", term: 2, kind: "heartbeat", round: 0 });

    assert.deepEqual(core.ready().leadership, { role: "follower", term: 2, leaderId: "b" });
    core.step({ from: "b", to: "a", term: 2, kind: "heartbeat", round: 0 });

    assert.equal(core.ready().leadership, null);
  });

  test("what the runner was given does not change under its hands", () => {
    const tier = led();
    const core = tier.core("a");
    core.propose([new Uint8Array(1)]);
    const ready = core.ready();
    const before = structuredClone(ready);

    core.propose([new Uint8Array(1)]);
    core.step({ from: "b", to: "a", term: 9, kind: "heartbeat", round: 0 });
    core.ready();

    assert.deepEqual(ready, before);
  });
});

describe("a runner that breaks the contract is stopped", () => {
  const mistakes: Readonly<Record<string, (core: RaftCore) => void>> = {
    "reports a write that does not run": (core) => core.persisted(1),
    "applies what was not handed out": (core) => core.applied(9),
    "applies backwards": (core) => {
      core.applied(1);
      core.applied(0);
    },
    "compacts what is not applied": (core) => core.compact(1, { index: 1, term: 1 }),
    "delivers to the wrong member": (core) =>
      core.step({ from: "b", to: "c", term: 1, kind: "heartbeat", round: 0 }),
    "delivers a member's own message": (core) =>
      core.step({ from: "a", to: "a", term: 1, kind: "heartbeat", round: 0 }),
    "proposes nothing": (core) => void core.propose([]),
  };
  for (const [name, act] of Object.entries(mistakes)) {
    test(`one that ${name}`, () => {
      const core = start({ hardState: { term: 1, vote: null, commit: 1 }, entries: entriesOf(1) });
      core.ready();

      assert.throws(() => act(core), InvariantViolation);
    });
  }
});

describe("a leader's disk", () => {
  test("that takes longer than an election timeout ends its leadership", () => {
    const tier = led();
    tier.member("a").isDiskSlow = true;
    tier.propose("a", "x");

    tier.pass(9);
    assert.equal(tier.core("a").role, "leader");
    tier.pass(1);

    assert.equal(tier.core("a").role, "follower");
  });

  test("that hangs keeps a member from campaigning for what it could not vote for", () => {
    const tier = led();
    tier.member("b").isDiskSlow = true;
    tier.propose("a", "x");
    tier.settle();

    tier.tick(["b"], 100);

    assert.deepEqual([tier.core("b").role, tier.core("b").term], ["follower", 1]);
  });
});

test("the same calls lead to the same state", () => {
  const call = fc.oneof(
    fc.record({ kind: fc.constant("tick" as const), id: fc.constantFrom("a", "b", "c") }),
    fc.record({ kind: fc.constant("propose" as const), id: fc.constantFrom("a", "b", "c") }),
    fc.record({ kind: fc.constant("deliver" as const), id: fc.constantFrom("a", "b", "c") }),
    fc.record({ kind: fc.constant("lose" as const), id: fc.constantFrom("a", "b", "c") }),
    fc.record({ kind: fc.constant("crash" as const), id: fc.constantFrom("a", "b", "c") }),
  );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 200 }), (calls) => {
      const play = () => {
        const tier = new Tier({ voters: ["a", "b", "c"] });
        tier.elect("a");
        for (const { kind, id } of calls) {
          if (kind === "tick") tier.tick([id], 3);
          else if (kind === "propose") tier.propose(id, "x");
          else if (kind === "deliver") tier.deliver(({ to }) => to === id);
          else if (kind === "lose") tier.drop(({ to }) => to === id);
          else {
            tier.crash(id);
            tier.restart(id);
          }
        }
        return tier.members.map((member) => [member.core.status(), member.disk]);
      };

      assert.deepEqual(play(), play());
    }),
    runs(50),
  );
});

test("three members that lose, delay and reorder everything agree in the end", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const pick = (ids: readonly string[]): string => ids[Math.floor(random() * ids.length)] ?? "a";
    const tier = new Tier({ voters: ["a", "b", "c"] });
    for (let step = 0; step < 500; step++) {
      const id = pick(["a", "b", "c"]);
      if (random() < 0.4) tier.tick([id], 1 + Math.floor(random() * 5));
      else if (random() < 0.2) tier.propose(id, `${step}`);
      else if (random() < 0.1) tier.reverse();
      else if (random() < 0.2) tier.drop(({ to }) => to === id);
      else tier.deliver(({ to }) => to === id);
    }
    tier.drop();

    tier.pass(60);

    const logs = ["a", "b", "c"].map((id) => tier.terms(id));
    assert.deepEqual(logs[1], logs[0], `seed ${seed}`);
    assert.deepEqual(logs[2], logs[0], `seed ${seed}`);
    assert.equal(tier.core("a").commit, logs[0]?.length, `seed ${seed}`);
  }
});

function restored(state: Partial<RestoredState>): RestoredState {
  const base = { last: BEFORE_ALL, membership: MEMBERS };
  return { hardState: NO_HARD_STATE, base, entries: [], ...state };
}

function start(state: Partial<RestoredState>): RaftCore {
  return new RaftCore({ ...RAFT_DEFAULTS, id: "a", random: () => 0 }, restored(state));
}

function entriesOf(...terms: readonly number[]): RestoredState["entries"] {
  return terms.map((term, at) => ({ index: at + 1, term, kind: "command", payload: new Uint8Array(1) }));
}

function led(): Tier {
  const tier = new Tier({ voters: ["a", "b", "c"] });
  tier.elect("a");
  return tier;
}
