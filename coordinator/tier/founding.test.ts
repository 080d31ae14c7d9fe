import assert from "node:assert/strict";
import { test } from "node:test";
import { fc } from "../../test/support/properties.js";
import { clusterIdOf, nextStep } from "./founding.js";
import type { Founder, FoundingStep, FoundingView } from "./founding.js";

const founder = (id: string, diskId = `disk-${id}`): Founder => ({ id, address: `${id}:9910`, diskId });
const view = (id: string, changes: Partial<FoundingView> = {}): FoundingView => ({
  self: founder(id),
  expect: 3,
  known: [],
  promised: null,
  clusterId: "",
  members: [],
  ...changes,
});

test("coordinators wait for each other, promise one list, and found it when all have promised", () => {
  const list = ["c1", "c2", "c3"].map((id) => founder(id));

  assert.deepEqual(
    { ...nextStep(view("c1"), [view("c2")]), known: [] },
    { kind: "wait", known: [], missing: 1 },
  );
  assert.deepEqual(nextStep(view("c1"), [view("c3"), view("c2")]), { kind: "promise", founders: list });
  const promised = view("c1", { promised: list });
  assert.equal(nextStep(promised, [view("c2", { promised: list }), view("c3")]).kind, "wait");
  assert.deepEqual(nextStep(promised, [view("c2", { promised: list }), view("c3", { promised: list })]), {
    kind: "found",
    clusterId: clusterIdOf(list),
    founders: list,
  });
});

test("hearsay tells where to ask, and counts for nobody", () => {
  const step = nextStep(view("c1"), [view("c2", { known: [founder("c3")] })]);

  assert.equal(step.kind, "wait");
  assert.deepEqual(step.kind === "wait" && step.known.map(({ id }) => id), ["c1", "c2", "c3"]);
});

test("one that was away while the others founded finds its place, if its disk is the one that promised", () => {
  const list = ["c1", "c2", "c3"].map((id) => founder(id));
  const running = view("c2", { clusterId: clusterIdOf(list), members: list, promised: list });

  assert.equal(nextStep(view("c1", { promised: list }), [running]).kind, "found");
  const wiped = nextStep(view("c1", { self: founder("c1", "new-disk") }), [running]);
  assert.match(wordsOf(wiped), /lost its data directory.*coordinators remove c1/);
  const stranger = nextStep(view("c4"), [running]);
  assert.equal(stranger.kind, "meet");
  assert.deepEqual(stranger.addresses, ["c2:9910", "c1:9910", "c3:9910"]);
  assert.match(wordsOf(stranger.refusal), /belongs to tier .* already.*coordinators add/);
  const promisedElse = nextStep(view("c4", { promised: [founder("c4"), founder("c5")] }), [running]);
  assert.match(wordsOf(promisedElse), /belongs to tier .* already/);
});

test("what cannot be right is refused with the remedy", () => {
  const twins = nextStep(view("c1"), [view("c1", { self: { ...founder("c1", "d2"), address: "other:1" } })]);
  assert.match(wordsOf(twins), /Two coordinators call themselves "c1": at c1:9910 and at other:1/);
  const counts = nextStep(view("c1"), [view("c2", { expect: 5 })]);
  assert.match(wordsOf(counts), /expects 5 founders, this one 3/);
  const many = nextStep(view("c1"), [view("c2"), view("c3"), view("c4")]);
  assert.match(wordsOf(many), /4 coordinators found each other .*expected 3/);
  const list = ["c1", "c2", "c3"].map((id) => founder(id));
  const relapsed = nextStep(view("c1", { promised: list }), [
    view("c2", { promised: list }),
    view("c3", { self: founder("c3", "new-disk") }),
  ]);
  assert.match(wordsOf(relapsed), /"c3" has promised another list.*remove their data directories/);
});

test("whoever hears whom, and in whatever order, no two tiers with a founder in common are founded", () => {
  const ids = ["c1", "c2", "c3", "c4"];
  const look = fc.record({ who: fc.constantFrom(...ids), hears: fc.subarray(ids) });
  fc.assert(
    fc.property(fc.array(look, { maxLength: 40 }), (looks) => {
      const views = new Map(ids.map((id) => [id, view(id)]));
      const founded: (readonly Founder[])[] = [];
      for (const { who, hears } of looks) {
        const own = views.get(who);
        if (own === undefined) continue;
        const others = hears.filter((id) => id !== who).flatMap((id) => views.get(id) ?? []);
        const step = nextStep(own, others);
        if (step.kind === "promise") views.set(who, { ...own, promised: step.founders });
        if (step.kind === "found") {
          const { clusterId, founders } = step;
          views.set(who, { ...own, clusterId, members: founders });
          founded.push(founders);
        }
      }
      for (const one of founded) {
        for (const other of founded) {
          const isShared = one.some(({ id }) => other.some((each) => each.id === id));
          if (isShared) assert.deepEqual(one, other);
        }
      }
    }),
  );
});

function wordsOf(step: FoundingStep): string {
  return step.kind === "refuse" ? `${step.problem}. ${step.remedy}` : step.kind;
}
