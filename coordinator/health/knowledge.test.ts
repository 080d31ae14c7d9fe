import assert from "node:assert/strict";
import { test } from "node:test";
import {
  IMPAIRED,
  PASSED,
  REFUSED,
  TIMED_OUT,
  aCheck,
  aNode,
  aReport,
} from "../../test/support/decision-fixtures.js";
import { freshnessMs, overdueMs, weigh } from "./evidence.js";
import { Knowledge } from "./knowledge.js";
import type { CheckMemory } from "./knowledge.js";

const NODE = aNode(1);
const KEY = "web/10.0.0.1:80";

function heard(): { knowledge: Knowledge; memory: () => CheckMemory } {
  const knowledge = new Knowledge();
  knowledge.found("a1", "boot1", 0);
  const memory = (): CheckMemory => {
    const found = knowledge.of(KEY).get("a1")?.get("http");
    assert.ok(found);
    return found;
  };
  return { knowledge, memory };
}

test("a row of answers begins with its first, and a failure begins another", () => {
  const { knowledge, memory } = heard();

  knowledge.receive("a1", aReport(NODE, PASSED, 1_000));
  knowledge.receive("a1", aReport(NODE, PASSED, 2_000, { consecutive: 2 }));
  assert.equal(memory().sinceMs, 1_000);
  assert.equal(memory().sameOutcome, 2);

  knowledge.receive("a1", aReport(NODE, TIMED_OUT, 3_000));
  assert.equal(memory().sinceMs, 3_000);
});

test("passed and degraded are one row of answers, but count separately", () => {
  const { knowledge, memory } = heard();

  knowledge.receive("a1", aReport(NODE, PASSED, 1_000, { consecutive: 40 }));
  assert.equal(memory().sameOutcome, 40);
  knowledge.receive("a1", aReport(NODE, IMPAIRED, 2_000, { consecutive: 41 }));

  assert.equal(memory().sinceMs, 1_000);
  assert.equal(memory().sameOutcome, 1);
});

test("a report that is older than what is known changes nothing", () => {
  const { knowledge, memory } = heard();

  knowledge.receive("a1", aReport(NODE, PASSED, 2_000));
  const isNews = knowledge.receive("a1", aReport(NODE, TIMED_OUT, 1_000));

  assert.equal(isNews, false);
  assert.equal(memory().report.observation.outcome, "passed");
});

test("a death is remembered until the node answers, though later reports do not repeat it", () => {
  const { knowledge, memory } = heard();

  knowledge.receive("a1", aReport(NODE, REFUSED, 1_000, { hasProcessExited: true, refusals: 1 }));
  knowledge.receive("a1", aReport(NODE, REFUSED, 2_000, { consecutive: 2, refusals: 2 }));
  assert.equal(memory().exitedAtMs, 1_000);
  assert.equal(memory().refusedSinceMs, 1_000);

  knowledge.receive("a1", aReport(NODE, PASSED, 3_000));
  assert.equal(memory().exitedAtMs, null);
  assert.equal(memory().refusedSinceMs, null);
});

test("a doubt is a reason to look and replaces no observation", () => {
  const { knowledge, memory } = heard();

  knowledge.receive("a1", aReport(NODE, PASSED, 1_000));
  knowledge.receive("a1", aReport(NODE, TIMED_OUT, 2_000, { isDoubt: true }));

  assert.equal(memory().report.observation.outcome, "passed");
  assert.equal(knowledge.doubtedAtMs(KEY), 2_000);
});

test("after an agent's restart its old words do not count until it has looked again", () => {
  const { knowledge, memory } = heard();
  knowledge.receive("a1", aReport(NODE, PASSED, 1_000, { consecutive: 9 }));

  knowledge.lost("a1", 1_500);
  knowledge.found("a1", "boot2", 2_000);
  const standing = (): string =>
    weigh({ observer: "a1", role: "local", memory: memory() }, aCheck(), knowledge.observer("a1"), 2_100)
      .standing;
  assert.equal(standing(), "unverified");

  knowledge.receive("a1", aReport(NODE, PASSED, 2_050));
  assert.equal(standing(), "settling");
  assert.equal(memory().sameOutcome, 1);
});

test("a broken stream of the same process costs no memory", () => {
  const { knowledge, memory } = heard();
  knowledge.receive("a1", aReport(NODE, PASSED, 1_000, { consecutive: 9 }));

  knowledge.lost("a1", 1_500);
  knowledge.found("a1", "boot1", 2_000);

  assert.equal(memory().isVerified, true);
});

test("facts stay until they change", () => {
  const { knowledge, memory } = heard();

  knowledge.receive("a1", aReport(NODE, { ...PASSED, facts: { role: "master" } }, 1_000));
  knowledge.receive("a1", aReport(NODE, PASSED, 2_000, { consecutive: 2 }));

  assert.deepEqual(memory().facts, { role: "master" });
});

test("reports count for three intervals, at least five seconds, longer where the observer slows down", () => {
  assert.equal(freshnessMs(aCheck(), 0), 6_000);
  assert.equal(freshnessMs(aCheck({ everyMs: 100, timeoutMs: 100 }), 0), 5_000);
  assert.equal(freshnessMs(aCheck(), 1), 12_000);
  assert.equal(overdueMs(aCheck(), 0), 3_000);
});
