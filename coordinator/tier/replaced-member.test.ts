import assert from "node:assert/strict";
import { test } from "node:test";

import { replacedMember } from "./replaced-member.js";
import { healthOf } from "./tier-health.js";
import type { MemberHealth } from "./tier-health.js";

const DEAD_AFTER_MS = 600_000;

/**
 * As leader c1 sees them.
 * @param silence by id: milliseconds of silence, or null for one that was never heard.
 */
function voters(
  silence: Readonly<Record<string, number | null>>,
  leadingMs = 3_600_000,
): readonly MemberHealth[] {
  const peers = Object.entries(silence).map(([id, silentMs]) => {
    return { id, role: "voter" as const, address: `${id}:9910`, silentMs, matchIndex: 0 };
  });
  const leadership = { leaderId: "c1", term: 1, isLeader: true };
  return healthOf({ selfId: "c1", leadership, peers, sinceMs: leadingMs });
}

test("the fourth takes the place of the dead one of three", () => {
  assert.equal(replacedMember(voters({ c1: 0, c2: 50, c3: 700_000, c4: 20 }), DEAD_AFTER_MS), "c3");
});

test("nobody goes before another has come: a dead one of three or five stays", () => {
  assert.equal(replacedMember(voters({ c1: 0, c2: 50, c3: 700_000 }), DEAD_AFTER_MS), null);
  assert.equal(replacedMember(voters({ c1: 0, c2: 50, c3: 9e9, c4: 9e9, c5: 30 }), DEAD_AFTER_MS), null);
});

test("of two dead ones of five a single newcomer replaces one, the longer silent", () => {
  const six = voters({ c1: 0, c2: 50, c3: 700_000, c4: 800_000, c5: 30, c6: 40 });
  assert.equal(replacedMember(six, DEAD_AFTER_MS), "c4");
  assert.equal(
    replacedMember(
      six.filter(({ id }) => id !== "c4"),
      DEAD_AFTER_MS,
    ),
    null,
  );
});

test("silence that is not long enough, and a learner, leave all as it is", () => {
  assert.equal(replacedMember(voters({ c1: 0, c2: 50, c3: 599_999, c4: 20 }), DEAD_AFTER_MS), null);
  const [learner] = voters({ c4: 20 });
  assert.ok(learner !== undefined);
  const peers = [...voters({ c1: 0, c2: 50, c3: 700_000 }), { ...learner, role: "learner" as const }];
  assert.equal(replacedMember(peers, DEAD_AFTER_MS), null);
});

test("a new leader has not heard of anybody for long, and blames nobody for that", () => {
  const silence = { c1: 0, c2: null, c3: 9e9, c4: 20 };
  assert.equal(replacedMember(voters(silence, 599_999), DEAD_AFTER_MS), null);
  assert.equal(replacedMember(voters(silence, 600_000), DEAD_AFTER_MS), "c2");
});
