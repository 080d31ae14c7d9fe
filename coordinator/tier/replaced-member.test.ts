import assert from "node:assert/strict";
import { test } from "node:test";

import type { PeerStatus } from "../log/replicated-log.js";
import { replacedMember } from "./replaced-member.js";

const RULE = { deadAfterMs: 600_000, leadingMs: 3_600_000 };

/** By id: milliseconds of silence, or null for one that was never heard. */
function voters(silence: Readonly<Record<string, number | null>>): readonly PeerStatus[] {
  return Object.entries(silence).map(([id, silentMs]) => ({
    id,
    role: "voter",
    address: `${id}:9910`,
    silentMs,
    matchIndex: 0,
  }));
}

test("the fourth takes the place of the dead one of three", () => {
  assert.equal(replacedMember(voters({ c1: 0, c2: 50, c3: 700_000, c4: 20 }), RULE), "c3");
});

test("nobody goes before another has come: a dead one of three or five stays", () => {
  assert.equal(replacedMember(voters({ c1: 0, c2: 50, c3: 700_000 }), RULE), null);
  assert.equal(replacedMember(voters({ c1: 0, c2: 50, c3: 9e9, c4: 9e9, c5: 30 }), RULE), null);
});

test("of two dead ones of five a single newcomer replaces one, the longer silent", () => {
  const six = voters({ c1: 0, c2: 50, c3: 700_000, c4: 800_000, c5: 30, c6: 40 });
  assert.equal(replacedMember(six, RULE), "c4");
  assert.equal(
    replacedMember(
      six.filter(({ id }) => id !== "c4"),
      RULE,
    ),
    null,
  );
});

test("silence that is not long enough, and a learner, leave all as it is", () => {
  assert.equal(replacedMember(voters({ c1: 0, c2: 50, c3: 599_999, c4: 20 }), RULE), null);
  const [learner] = voters({ c4: 20 });
  assert.ok(learner !== undefined);
  const peers = [...voters({ c1: 0, c2: 50, c3: 700_000 }), { ...learner, role: "learner" as const }];
  assert.equal(replacedMember(peers, RULE), null);
});

test("a new leader has not heard of anybody for long, and blames nobody for that", () => {
  const peers = voters({ c1: 0, c2: null, c3: 9e9, c4: 20 });
  assert.equal(replacedMember(peers, { ...RULE, leadingMs: 599_999 }), null);
  assert.equal(replacedMember(peers, { ...RULE, leadingMs: 600_000 }), "c2");
});
