import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "../../test/support/properties.js";
import { InvariantViolation } from "./invariant.js";
import {
  changeMembership,
  decodeMembership,
  encodeMembership,
  findMember,
  foundingEntry,
  voterIds,
} from "./membership.js";
import type { Membership, MembershipChange } from "./membership.js";
import { quorumOf } from "./quorum.js";

const member = (id: string, role: "voter" | "learner" = "voter") => ({ id, role, address: `${id}:1` });
const ABC: Membership = [member("a"), member("b"), member("c")];

test("add makes a learner, sorted among the others", () => {
  const changed = changeMembership([member("a"), member("c")], { kind: "add", id: "b", address: "b:1" });

  assert.deepEqual(changed, {
    isAccepted: true,
    membership: [member("a"), member("b", "learner"), member("c")],
  });
});

test("promote, demote, move and remove change one member", () => {
  const after = (membership: Membership, change: MembershipChange): Membership => {
    const changed = changeMembership(membership, change);
    assert(changed.isAccepted);
    return changed.membership;
  };

  const demoted = after(ABC, { kind: "demote", id: "b" });
  assert.deepEqual(demoted, [member("a"), member("b", "learner"), member("c")]);
  assert.deepEqual(after(demoted, { kind: "promote", id: "b" }), ABC);
  assert.equal(findMember(after(ABC, { kind: "move", id: "b", address: "z:9" }), "b")?.address, "z:9");
  assert.deepEqual(after(ABC, { kind: "remove", id: "b" }), [member("a"), member("c")]);
});

test("quorums before and after any change have a member in common", () => {
  const ids = ["a", "b", "c", "d", "e"];
  const membership = fc
    .uniqueArray(fc.tuple(fc.constantFrom(...ids), fc.constantFrom("voter" as const, "learner" as const)), {
      selector: ([id]) => id,
    })
    .map((members) => members.map(([id, role]) => member(id, role)));
  const change = fc.record({
    kind: fc.constantFrom(
      "add" as const,
      "promote" as const,
      "demote" as const,
      "remove" as const,
      "move" as const,
    ),
    id: fc.constantFrom(...ids),
    address: fc.constant("x:1"),
  });
  fc.assert(
    fc.property(membership, change, (before, wish) => {
      const changed = changeMembership(before, wish);
      if (!changed.isAccepted || voterIds(before).length === 0) return;

      const [old, next] = [voterIds(before), voterIds(changed.membership)];
      const all = new Set([...old, ...next]);
      assert(next.length > 0);
      assert(quorumOf(old.length) + quorumOf(next.length) > all.size);
    }),
  );
});

test("a membership survives being written and read, whatever its ids hold", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ unit: "grapheme" }), { maxLength: 5 }), (ids) => {
      const membership = ids.map((id) => ({ id, role: "voter" as const, address: id }));

      const read = decodeMembership(encodeMembership(membership));

      assert.deepEqual(new Set(read), new Set(membership));
    }),
  );
});

test("a members entry that holds something else is not taken", () => {
  for (const text of ["", "{", "{}", "[1]", '[{"id":"a"}]', '[{"id":"a","role":"king","address":""}]']) {
    assert.throws(() => decodeMembership(new TextEncoder().encode(text)), InvariantViolation);
  }
});

test("every founder writes the same first entry, in whatever order it was told the members", () => {
  assert.deepEqual(foundingEntry([...ABC].reverse()), foundingEntry(ABC));
  assert.deepEqual(foundingEntry(ABC).index, 1);
});
