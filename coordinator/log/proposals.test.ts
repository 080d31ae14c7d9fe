import assert from "node:assert/strict";
import { test } from "node:test";
import type { RaftCore } from "../raft/core.js";
import { Proposals } from "./proposals.js";

const MANY = 200_000;

test("however many proposals another leader's entries have replaced, they are made again in their order", async () => {
  const proposals = new Proposals("c1/1", { maxPendingBytes: Infinity, timeoutMs: 1_000 });
  const core = leaderOf(1);
  const answers = Array.from({ length: MANY }, () => proposals.add(new Uint8Array(0), 0));

  proposals.hand(core.asCore());
  core.commit = MANY;
  core.term = 2;
  proposals.settle(core.asCore());
  proposals.hand(core.asCore());
  core.commit = 2 * MANY;
  proposals.settle(core.asCore());

  const positions = await Promise.all(answers);
  assert.deepEqual(positions[0], { index: MANY + 1, term: 2 });
  assert.ok(positions.every(({ index }, at) => index === MANY + 1 + at));
});

/** Of a core, what proposals see of it: it leads, in a term that can change under them. */
function leaderOf(term: number) {
  let last = 0;
  const core = {
    role: "leader",
    term,
    commit: 0,
    propose: (payloads: readonly Uint8Array[]) => {
      const first = { index: last + 1, term: core.term };
      last += payloads.length;
      return { isAccepted: true, first };
    },
    termAt: () => core.term,
    asCore: (): RaftCore => core as unknown as RaftCore,
  };
  return core;
}
