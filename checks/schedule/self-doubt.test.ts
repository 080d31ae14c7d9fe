import assert from "node:assert/strict";
import { test } from "node:test";
import type { SelfDoubt } from "../../common/model/assignment.js";
import type { ObservationReport } from "../../common/model/observation.js";
import { LossWatch } from "./losses.js";
import { NO_DOUBT, stepSelfDoubt, type DoubtSigns } from "./self-doubt.js";
import { parseCpuPressure } from "./self-doubt-source.js";

const CALM: DoubtSigns = { loopDelayP99Ms: 2, cpuPressure: 10, canaryMs: 1, massLoss: null };

function stepTimes(times: number, signs: DoubtSigns, from = NO_DOUBT): SelfDoubt {
  return Array.from({ length: times }).reduce<SelfDoubt>((doubt) => stepSelfDoubt(doubt, signs), from);
}

test("each sign raises the level one step at a time up to 8, and names itself", () => {
  const signs: readonly [Partial<DoubtSigns>, RegExp][] = [
    [{ loopDelayP99Ms: 51 }, /event loop late by 51 ms/],
    [{ cpuPressure: 75, loopDelayP99Ms: 40 }, /CPU pressure 75 %/],
    [{ canaryMs: Infinity }, /no echo on loopback/],
    [{ canaryMs: 300 }, /echo on loopback after 300 ms/],
    [{ massLoss: "lost 3 of 5 hosts at once" }, /lost 3 of 5 hosts at once/],
  ];
  for (const [sign, cause] of signs) {
    const once = stepSelfDoubt(NO_DOUBT, { ...CALM, ...sign });
    assert.equal(once.level, 1);
    assert.match(once.cause, cause);
    assert.equal(stepTimes(20, { ...CALM, ...sign }).level, 8);
  }
});

test("pressure on a host whose scheduler still serves us on time is no reason to doubt", () => {
  assert.equal(stepSelfDoubt(NO_DOUBT, { ...CALM, cpuPressure: 99 }).level, 0);
});

test("it decays a step at a time, keeps the cause while any is left, and forgets it at 0", () => {
  const doubtful = stepTimes(3, { ...CALM, canaryMs: Infinity });

  const calmer = stepSelfDoubt(doubtful, CALM);
  assert.equal(calmer.level, 2);
  assert.equal(calmer.cause, "no echo on loopback");
  assert.deepEqual(stepTimes(9, CALM, doubtful), { level: 0, cause: "", loopDelayP99Ms: 2, cpuPressure: 10 });
});

test("the kernel's text is read, and none is -1", () => {
  const text =
    "some avg10=12.34 avg60=5.92 avg300=3.76 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

  assert.equal(parseCpuPressure(text), 12.34);
  assert.equal(parseCpuPressure("garbage"), -1);
});

type Host = { readonly zone?: string; readonly nodes: number };

function lossesOf(hosts: readonly Host[]): LossWatch {
  const losses = new LossWatch();
  losses.setTargets(
    new Map(
      hosts.flatMap(({ zone, nodes }, host) =>
        Array.from(
          { length: nodes },
          (_, node) => [`${host}/${node}`, { host: `h${host}`, zone: zone ?? null }] as const,
        ),
      ),
    ),
  );
  return losses;
}

function fail(
  losses: LossWatch,
  key: string,
  takenAtMs: number,
  reason: "timedOut" | "refused" = "timedOut",
): void {
  const observation = { outcome: "failed", reason, detail: "", latencyMs: 1 } as const;
  losses.onReport(key, { observation, takenAtMs } as ObservationReport);
}

test("more than half of at least four hosts falling silent within ten seconds is a mass loss", () => {
  const losses = lossesOf([{ nodes: 1 }, { nodes: 1 }, { nodes: 1 }, { nodes: 1 }]);

  fail(losses, "0/0", 1_000);
  fail(losses, "1/0", 1_000);
  assert.equal(losses.massLoss(2_000), null);
  fail(losses, "2/0", 1_500, "refused");
  assert.equal(losses.massLoss(2_000), null);
  fail(losses, "2/0", 1_500);
  assert.equal(losses.massLoss(2_000), "lost 3 of 4 hosts at once");
  assert.equal(losses.massLoss(20_000), null);
});

test("one dead host with many services, a dead zone of several, or three hosts in all say nothing about us", () => {
  const dense = lossesOf([{ nodes: 10 }, { nodes: 1 }, { nodes: 1 }, { nodes: 1 }]);
  for (let node = 0; node < 10; node++) fail(dense, `0/${node}`, 1_000);
  assert.equal(dense.massLoss(1_100), null);

  const zoned = lossesOf([
    { nodes: 1, zone: "a" },
    { nodes: 1, zone: "a" },
    { nodes: 1, zone: "a" },
    { nodes: 1, zone: "b" },
    { nodes: 1, zone: "c" },
  ]);
  for (const host of [0, 1, 2]) fail(zoned, `${host}/0`, 1_000);
  assert.equal(zoned.massLoss(1_100), null);
  fail(zoned, "3/0", 1_050);
  assert.equal(zoned.massLoss(1_100), "lost 4 of 5 hosts at once");

  const few = lossesOf([{ nodes: 1 }, { nodes: 1 }, { nodes: 1 }]);
  for (const host of [0, 1, 2]) fail(few, `${host}/0`, 1_000);
  assert.equal(few.massLoss(1_100), null);
});
