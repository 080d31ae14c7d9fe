import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transition } from "../../common/model/cut.js";
import { nodeKey } from "../../common/model/node.js";
import type { NodeState } from "../../common/model/node.js";
import type { Observation } from "../../common/model/observation.js";
import {
  PASSED,
  REFUSED,
  TIMED_OUT,
  aCluster,
  aNode,
  aRecord,
  aReport,
  aState,
} from "../../test/support/decision-fixtures.js";
import type { NodeRecord } from "../state/model.js";
import { Decider } from "./decider.js";
import type { DeciderStep } from "./decider.js";
import { explain } from "./explain.js";
import type { MemberVote } from "./world.js";

const NODE = aNode(1);
const OWN = "coordinator:c1";
/** Long after the start, so that nothing waits for the first round. */
const LATER_MS = 100_000;

type Bench = {
  readonly decider: Decider;
  readonly see: (observer: string, observation: Observation, atMs: number, consecutive?: number) => void;
  /** Ticks until the time, every time the decider wants to; returns the first cut. */
  readonly until: (atMs: number) => readonly Transition[] | null;
  readonly set: (changes: Partial<NodeRecord>) => void;
  readonly explain: (atMs: number) => ReturnType<typeof explain>;
};

type Setup = {
  members?: readonly string[];
  agent?: string | null;
  record?: Partial<NodeRecord>;
  startMs?: number;
};

function bench(setup: Setup = {}): Bench {
  const startMs = setup.startMs ?? 0;
  const state = aState([aCluster()], [aRecord(NODE, setup.record)]);
  const world = {
    coordinatorId: "c1",
    state,
    members: () => setup.members ?? ["c1"],
    agentBeside: () => setup.agent ?? null,
    zoneOf: () => "",
    mayProbe: () => true,
  };
  const decider = new Decider(world, startMs);
  if (setup.agent != null) decider.observerFound(setup.agent, "boot1", startMs);
  decider.leadership(true, startMs);
  let nowMs = startMs;
  const now = (atMs: number): { nowMs: number; leaderNowMs: number } => ({ nowMs: atMs, leaderNowMs: atMs });
  return {
    decider,
    see: (observer, observation, atMs, consecutive = 1) => {
      const refusals = observation === REFUSED ? consecutive : 0;
      decider.reports(observer, [aReport(NODE, observation, atMs, { consecutive, refusals })], atMs);
    },
    until: (atMs) => {
      let step: DeciderStep = decider.tick(now(nowMs));
      while (step.cut === null && step.nextTickAtMs <= atMs) {
        nowMs = Math.max(nowMs, step.nextTickAtMs);
        step = decider.tick(now(nowMs));
      }
      if (step.cut === null) nowMs = atMs;
      return step.cut;
    },
    set: (changes) => void state.nodes.set(nodeKey(NODE), aRecord(NODE, changes)),
    explain: (atMs) => {
      const judgement = decider.judgement(NODE, now(atMs));
      assert.ok(judgement);
      return explain(judgement);
    },
  };
}

/** Three failures of an agentless node, the last one at `atMs`. */
function fail({ see }: Bench, atMs: number): void {
  for (const consecutive of [1, 2, 3]) see(OWN, TIMED_OUT, atMs - (3 - consecutive) * 10, consecutive);
}

function settle(bench: Bench, atMs: number): void {
  for (let at = 0; at < atMs; at += 1_000) {
    bench.see(OWN, PASSED, at, 1 + at / 1_000);
    assert.equal(bench.until(at + 1_000), null);
  }
}

test("a cut holds the ballots that led to it, and the node is not proposed twice", () => {
  const it = bench();
  settle(it, 10_000);
  fail(it, 10_000);

  const cut = it.until(11_000);
  assert.deepEqual(
    cut?.map(({ from, to, epoch, isConclusive }) => ({ from, to, epoch, isConclusive })),
    [{ from: "healthy", to: "down", epoch: 1, isConclusive: false }],
  );
  const [ballot] = cut?.[0]?.ballots ?? [];
  assert.equal(ballot?.voter, "c1");
  assert.equal(ballot?.rule, "the coordinator's own probe: failed 3 times in a row");
  assert.deepEqual(
    ballot?.evidence.map((each) => each.threshold),
    [3],
  );

  it.see(OWN, TIMED_OUT, 11_000, 4);
  assert.equal(it.until(15_000), null);

  it.decider.rejected(cut ?? []);
  assert.equal(it.until(16_000)?.length, 1);
});

test("a new leader takes nobody down on timeouts before it has heard a full round", () => {
  const it = bench();
  fail(it, 1_000);
  it.see(OWN, TIMED_OUT, 5_900, 4);

  assert.equal(it.until(5_900), null);
  assert.match(it.explain(1_000).hold, /has to hear everybody first, for another 5 s/);
  assert.equal(it.until(6_300)?.[0]?.to, "down");
});

test("silence for ten seconds makes a node unknown, with no verdict against it", () => {
  const it = bench();
  settle(it, 10_000);

  assert.equal(it.until(24_000), null);
  assert.match(it.explain(24_000).hold, /only 0 of 1 coordinators have fresh evidence/);
  const cut = it.until(27_000);
  assert.equal(cut?.[0]?.to, "unknown");
  assert.equal(cut[0].isConclusive, false);
});

test("the committed state holds after a restart until there is fresh evidence", () => {
  const it = bench({ record: { state: "down", heldState: "down" }, startMs: LATER_MS });

  assert.equal(it.until(LATER_MS + 5_000), null);
  it.see(OWN, PASSED, LATER_MS + 5_000, 2);
  assert.equal(it.until(LATER_MS + 5_100)?.[0]?.to, "healthy");
});

test("an accusation by the agent asks for an own probe at once, and only once", () => {
  const it = bench({ agent: "a1" });
  it.see("a1", TIMED_OUT, 100);

  const first = it.decider.tick({ nowMs: 100, leaderNowMs: 100 });
  it.see("a1", TIMED_OUT, 350, 2);
  const second = it.decider.tick({ nowMs: 350, leaderNowMs: 350 });

  assert.deepEqual(
    first.probes.map((wish) => wish.node.node),
    [NODE],
  );
  assert.deepEqual(second.probes, []);
});

test("a death that becomes certain later is committed as certain", () => {
  const it = bench({ agent: "a1", record: { state: "down", heldState: "down" } });
  it.see("a1", REFUSED, 1_000, 2);
  it.see(OWN, REFUSED, 1_010, 2);

  const cut = it.until(1_500);
  assert.deepEqual(
    cut?.map(({ from, to, isConclusive }) => ({ from, to, isConclusive })),
    [{ from: "down", to: "down", isConclusive: true }],
  );
});

test("what was heard of a removed node does not count for its successor", () => {
  const it = bench();
  settle(it, 10_000);
  fail(it, 10_000);
  it.set({ epoch: 2 });

  assert.equal(it.until(12_000), null);
  assert.equal(it.explain(12_000).verdict, "unknown");
});

test("a follower proposes nothing", () => {
  const it = bench();
  settle(it, 10_000);
  it.decider.leadership(false, 10_000);
  fail(it, 10_000);

  assert.equal(it.until(15_000), null);
});

test("with three coordinators two must agree, and old votes do not count for a new life", () => {
  const it = bench({ members: ["c1", "c2", "c3"] });
  const voted = (verdict: NodeState, epoch: number): MemberVote => ({
    epoch,
    verdict,
    isInformed: true,
    policyRevision: 1,
    isConclusive: false,
    cause: "http: timedOut",
    ballot: { voter: "c2", verdict, rule: "its own probe", evidence: [] },
  });
  for (let at = 0; at < 10_000; at += 1_000) {
    it.see(OWN, PASSED, at, 1 + at / 1_000);
    it.decider.vote(NODE, voted("healthy", 1), at);
    assert.equal(it.until(at + 1_000), null);
  }
  fail(it, 10_000);
  assert.equal(it.until(11_000), null);
  assert.match(it.explain(11_000).tally, /no quorum: 1 down, 0 degraded, 1 healthy of 3/);

  it.decider.vote(NODE, voted("down", 7), 11_000);
  assert.equal(it.until(11_500), null);
  it.decider.vote(NODE, voted("down", 1), 11_500);
  assert.deepEqual(
    it
      .until(12_000)?.[0]
      ?.ballots.map((ballot) => ballot.voter)
      .sort(),
    ["c1", "c2"],
  );
});

test("the last vote of a coordinator that went away does not count for long", () => {
  const it = bench({ members: ["c1", "c2"] });
  settle(it, 10_000);
  const ballot = { voter: "c2", verdict: "down", rule: "its own probe", evidence: [] } as const;
  const vote = {
    epoch: 1,
    verdict: "down",
    isInformed: true,
    policyRevision: 1,
    isConclusive: false,
    cause: "",
    ballot,
  } as const;
  it.decider.vote(NODE, vote, 10_000);

  assert.equal(it.explain(14_000).ballots.length, 2);
  assert.equal(it.explain(15_000).ballots.length, 1);
});

test("explain says what is awaited", () => {
  const it = bench({ agent: "a1" });
  for (const consecutive of [1, 2, 3]) it.see("a1", TIMED_OUT, 1_000 + consecutive * 250, consecutive);
  it.see(OWN, TIMED_OUT, 1_800);

  const said = it.explain(1_900);
  assert.equal(said.committed, "healthy");
  assert.equal(said.verdict, "unknown");
  assert.match(
    said.hold,
    /agent a1: failed 3 times in a row; waiting for the coordinator's own probe \(1 of 3\)/,
  );
});
