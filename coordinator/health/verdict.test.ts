/** The decision model's "what must hold, case by case", and the rules around them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CheckConfig } from "../../common/config/model.js";
import type { Observation, ObservationReport } from "../../common/model/observation.js";
import {
  CANNOT_TELL,
  IMPAIRED,
  PASSED,
  REFUSED,
  TIMED_OUT,
  aCheck,
  aNode,
  aReport,
} from "../../test/support/decision-fixtures.js";
import { weigh } from "./evidence.js";
import type { Evidence, Role } from "./evidence.js";
import { Knowledge } from "./knowledge.js";
import { judge } from "./verdict.js";
import type { Verdict } from "./verdict.js";

const NOW_MS = 100_000;
const NODE = aNode(1);

type Word = {
  readonly role: Role;
  readonly name?: string;
  readonly sees: Observation;
  readonly times?: number;
  /** Age of the last look; looks are 1 s apart. */
  readonly ageMs?: number;
  readonly report?: Partial<ObservationReport>;
  readonly check?: CheckConfig;
  readonly doubtLevel?: number;
  readonly isAway?: boolean;
};

function evidence(words: readonly Word[]): readonly Evidence[] {
  return words.map((word) => {
    const knowledge = new Knowledge();
    const check = word.check ?? aCheck();
    const observer = word.name ?? word.role;
    knowledge.found(observer, "boot", 0);
    const times = word.times ?? 3;
    for (let look = 1; look <= times; look++) {
      const takenAtMs = NOW_MS - (word.ageMs ?? 100) - (times - look) * 1_000;
      const more = look === times ? word.report : {};
      knowledge.receive(
        observer,
        aReport(NODE, word.sees, takenAtMs, { check: check.id, consecutive: look, ...more }),
      );
    }
    if (word.doubtLevel !== undefined) knowledge.doubts(observer, word.doubtLevel, "busy");
    if (word.isAway === true) knowledge.lost(observer, NOW_MS);
    const memory = knowledge.of("web/10.0.0.1:80").get(observer)?.get(check.id);
    assert.ok(memory);
    return weigh({ observer, role: word.role, memory }, check, knowledge.observer(observer), NOW_MS);
  });
}

type Around = { checks?: readonly CheckConfig[]; isLocalExpected?: boolean; memberCount?: number };

function judged(words: readonly Word[], around: Around = {}): Verdict {
  const hasLocal = words.some((word) => word.role === "local" && word.isAway !== true);
  return judge(evidence(words), {
    cluster: { checks: around.checks ?? [aCheck()], passWithoutChecks: false },
    isLocalExpected: () => around.isLocalExpected ?? hasLocal,
    memberCount: around.memberCount ?? 1,
    mayProbe: true,
  });
}

const REFUSED_TWICE = { report: { refusals: 2 }, sees: REFUSED, times: 2 };

test("a process that exited is down for certain, on the agent's word alone", () => {
  const verdict = judged([
    { role: "local", sees: REFUSED, times: 1, report: { hasProcessExited: true } },
    { role: "own", sees: PASSED, ageMs: 2_000 },
  ]);

  assert.equal(verdict.state, "down");
  assert.equal(verdict.isConclusive, true);
  assert.match(verdict.rule, /process exited and its port is closed, seen by local/);
});

test("an answer after the exit refutes it: a supervisor has restarted the service", () => {
  const verdict = judged([
    { role: "local", sees: REFUSED, times: 1, ageMs: 500, report: { hasProcessExited: true } },
    { role: "own", sees: PASSED, times: 2, ageMs: 50 },
  ]);

  assert.equal(verdict.isConclusive, false);
  assert.equal(verdict.state, "unknown");
});

test("refused to the agent and to the coordinator, twice each: down for certain", () => {
  const verdict = judged([
    { role: "local", ...REFUSED_TWICE },
    { role: "own", ...REFUSED_TWICE },
  ]);

  assert.equal(verdict.isConclusive, true);
});

test("one observer's refusals are never conclusive: it may be a firewall", () => {
  assert.equal(judged([{ role: "own", ...REFUSED_TWICE }]).isConclusive, false);
  assert.equal(judged([{ role: "local", ...REFUSED_TWICE }]).state, "unknown");
});

test("three remote observers' refusals are conclusive, two are not", () => {
  const peers = ["a", "b", "c"].map((name): Word => ({ role: "peer", name, ...REFUSED_TWICE }));

  assert.equal(judged(peers).isConclusive, true);
  assert.equal(judged(peers.slice(1)).isConclusive, false);
});

test("refusals on one port are not certain death while another check of the node is answered", () => {
  const side = aCheck({ id: "side" });
  const verdict = judged(
    [
      { role: "local", ...REFUSED_TWICE, check: side, ageMs: 300 },
      { role: "own", ...REFUSED_TWICE, check: side, ageMs: 300 },
      { role: "local", sees: PASSED, ageMs: 100 },
    ],
    { checks: [aCheck(), side] },
  );

  assert.equal(verdict.isConclusive, false);
});

test("hung with an open port: timeouts of agent and coordinator together are down, not certain", () => {
  const verdict = judged([
    { role: "local", sees: TIMED_OUT },
    { role: "own", sees: TIMED_OUT },
  ]);

  assert.equal(verdict.state, "down");
  assert.equal(verdict.isConclusive, false);
  assert.equal(verdict.cause, "http: timedOut (no reply within 1000 ms)");
});

test("a lone coordinator waits for its own probe before it believes the agent", () => {
  const verdict = judged([
    { role: "local", sees: TIMED_OUT },
    { role: "own", sees: TIMED_OUT, times: 1 },
  ]);

  assert.equal(verdict.state, "unknown");
  assert.match(verdict.rule, /waiting for the coordinator's own probe \(1 of 3\)/);
  assert.equal(verdict.isProbeWanted, true);
});

test("an own failure from before the agent's failures began does not count as the second word", () => {
  const verdict = judged([
    { role: "local", sees: TIMED_OUT, ageMs: 100 },
    { role: "own", sees: TIMED_OUT, ageMs: 3_000 },
  ]);

  assert.equal(verdict.state, "unknown");
});

test("without an agent the coordinator's own probe decides alone", () => {
  assert.equal(judged([{ role: "own", sees: TIMED_OUT }]).state, "down");
  assert.equal(judged([{ role: "own", sees: TIMED_OUT, times: 2 }]).state, "unknown");
  assert.equal(judged([{ role: "own", sees: PASSED, times: 2 }]).state, "healthy");
});

test("while an agent's first word is expected, a lone coordinator's probe waits for it", () => {
  const own: Word = { role: "own", sees: TIMED_OUT };

  assert.equal(judged([own], { isLocalExpected: true }).state, "unknown");
  assert.equal(judged([own], { isLocalExpected: true, memberCount: 3 }).state, "down");
});

test("a check that only the agent can run is decided by the agent", () => {
  const verdict = judged([
    { role: "local", sees: TIMED_OUT },
    { role: "own", sees: CANNOT_TELL, times: 1 },
  ]);

  assert.equal(verdict.state, "down");
  assert.match(verdict.rule, /nobody else can run this check/);
});

test("agent killed, service alive: its silence says nothing, the probe keeps the node healthy", () => {
  const gone: Word = { role: "local", sees: PASSED, isAway: true };

  assert.equal(judged([gone]).state, "unknown");
  assert.equal(judged([gone]).isProbeWanted, true);
  assert.equal(judged([gone, { role: "own", sees: PASSED }]).state, "healthy");
  assert.equal(judged([gone, { role: "own", sees: TIMED_OUT }]).state, "down");
});

test("an overdue word of the agent holds the state until somebody else has looked", () => {
  const overdue: Word = { role: "local", sees: PASSED, ageMs: 3_500 };

  assert.equal(judged([overdue]).state, "unknown");
  assert.equal(judged([overdue], { isLocalExpected: false }).isInformed, true);
  assert.equal(judged([overdue, { role: "own", sees: TIMED_OUT }], { isLocalExpected: false }).state, "down");
});

test("the agent passes and the probe fails: unreachable, routed around but never down", () => {
  const verdict = judged([
    { role: "local", sees: PASSED, times: 5 },
    { role: "own", sees: TIMED_OUT, times: 3 },
  ]);

  assert.equal(verdict.state, "degraded");
  assert.match(verdict.rule, /^unreachable/);
});

test("the agent fails and the probe passes: degraded", () => {
  const verdict = judged([
    { role: "local", sees: TIMED_OUT, times: 4 },
    { role: "own", sees: PASSED, times: 4 },
  ]);

  assert.equal(verdict.state, "degraded");
});

test("words of different times do not contradict each other: a service that just returned is not degraded", () => {
  const verdict = judged([
    { role: "local", sees: REFUSED, times: 4, ageMs: 1_200 },
    { role: "own", sees: PASSED, times: 2, ageMs: 20 },
  ]);

  assert.equal(verdict.state, "unknown");
});

test("an observer that doubts itself does not count", () => {
  const overloaded: Word = { role: "local", sees: TIMED_OUT, doubtLevel: 5 };

  assert.equal(judged([overloaded], { isLocalExpected: false }).isInformed, false);
  assert.equal(
    judged([overloaded, { role: "own", sees: PASSED }], { isLocalExpected: false }).state,
    "healthy",
  );
});

test("an observer that cannot judge does not vote", () => {
  const verdict = judged([
    { role: "local", sees: CANNOT_TELL },
    { role: "own", sees: CANNOT_TELL },
  ]);

  assert.equal(verdict.state, "unknown");
  assert.equal(verdict.isInformed, false);
});

test("peers: the own probe needs half of them, and without it two of them and a majority", () => {
  const accuser = (name: string): Word => ({ role: "peer", name, sees: TIMED_OUT });
  const friend = (name: string): Word => ({ role: "peer", name, sees: PASSED });
  const own: Word = { role: "own", sees: TIMED_OUT };

  assert.equal(judged([own, accuser("a"), friend("b")]).state, "down");
  assert.equal(judged([own, accuser("a"), friend("b"), friend("c")]).state, "unknown");
  assert.equal(judged([accuser("a"), accuser("b"), friend("c")]).state, "down");
  assert.equal(judged([accuser("a")]).state, "unknown");
});

test("the worst check decides, and is named", () => {
  const second = aCheck({ id: "ready" });
  const verdict = judged(
    [
      { role: "local", sees: PASSED },
      { role: "local", sees: TIMED_OUT, check: second },
      { role: "own", sees: TIMED_OUT, check: second },
    ],
    { checks: [aCheck(), second] },
  );

  assert.equal(verdict.state, "down");
  assert.match(verdict.rule, /^check ready: /);
});

test("a check nobody has looked at yet keeps the node from being healthy", () => {
  const verdict = judged([{ role: "local", sees: PASSED }], { checks: [aCheck(), aCheck({ id: "ready" })] });

  assert.equal(verdict.state, "unknown");
});

test("alive but not for every use is degraded, after as many looks as a failure needs", () => {
  assert.equal(judged([{ role: "local", sees: IMPAIRED }]).state, "degraded");
  assert.equal(judged([{ role: "local", sees: IMPAIRED, times: 2 }]).state, "unknown");
});

test("a cluster without checks counts its nodes as healthy only when told so", () => {
  const around = { isLocalExpected: () => false, memberCount: 1, mayProbe: true };

  assert.equal(judge([], { ...around, cluster: { checks: [], passWithoutChecks: true } }).state, "healthy");
  assert.equal(judge([], { ...around, cluster: { checks: [], passWithoutChecks: false } }).state, "unknown");
});
