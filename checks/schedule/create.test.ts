import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { CheckConfig } from "../../common/config/model.js";
import type { ScheduledNode } from "../../common/model/assignment.js";
import type { ObservationReport } from "../../common/model/observation.js";
import { seededRandom } from "../../common/random.js";
import { VirtualClock } from "../../common/virtual-clock.js";
import { fakeCheckConfig, fakeNode, FakeService } from "../../test/support/fake-service.js";
import type { Schedule } from "../schedule.js";
import { createSchedule, type ScheduleOptions } from "./create.js";
import { fc, runs } from "../../test/support/properties.js";

type Setup = {
  readonly clock: VirtualClock;
  readonly service: FakeService;
  readonly schedule: Schedule;
  readonly reports: ObservationReport[];
  readonly batches: (readonly ObservationReport[])[];
  /** Reports that count: everything but doubts. */
  readonly seen: () => readonly ObservationReport[];
};

const open: Schedule[] = [];
afterEach(() => {
  for (const schedule of open.splice(0)) schedule.close();
});

function setUp(over: Partial<ScheduleOptions> = {}, seed = 1): Setup {
  const clock = new VirtualClock();
  const service = new FakeService(clock);
  const reports: ObservationReport[] = [];
  const batches: (readonly ObservationReport[])[] = [];
  const schedule = createSchedule({
    clock,
    random: seededRandom(seed),
    createCheck: service.createCheck,
    execChecks: {},
    onReports: (batch) => {
      batches.push(batch);
      reports.push(...batch);
    },
    ...over,
  });
  open.push(schedule);
  return {
    clock,
    service,
    schedule,
    reports,
    batches,
    seen: () => reports.filter((report) => !report.isDoubt),
  };
}

function nodeWith(config: Partial<CheckConfig>, over: Partial<ScheduledNode> = {}): ScheduledNode {
  return fakeNode("10.0.0.1:6379", { checks: [fakeCheckConfig(config)], ...over });
}

/** Assigns one node and lets it pass a few times. */
async function setUpPassing(
  config: Partial<CheckConfig> = {},
  over: Partial<ScheduleOptions> = {},
): Promise<Setup> {
  const setup = setUp(over);
  setup.schedule.assign([nodeWith(config)]);
  await setup.clock.advance(5 * (config.everyMs ?? 1_000));
  assert.ok(setup.seen().length >= 4);
  setup.reports.length = 0;
  setup.service.startedMs.length = 0;
  return setup;
}

/** From now to the moment the first run begins. */
async function advanceToNextRun({ clock, service }: Setup): Promise<number> {
  const before = service.startedMs.length;
  await clock.advanceUntil(() => service.startedMs.length > before, 3_000);
  return service.startedMs[before] ?? NaN;
}

test("the cadence never drifts: a thousand runs stay within the jitter of one fixed grid", async () => {
  for (const everyMs of [40, 1_000, 7_000]) {
    const { clock, service, schedule } = setUp();
    schedule.assign([nodeWith({ everyMs })]);
    await clock.advance(2 * everyMs);
    service.startedMs.length = 0;

    await clock.advance(200 * everyMs);

    const starts = service.startedMs;
    assert.ok(Math.abs(starts.length - 200) <= 1, `${starts.length} runs in 200 intervals`);
    const offsets = starts.map((start, index) => start - index * everyMs);
    const width = Math.max(...offsets) - Math.min(...offsets);
    assert.ok(width <= 0.2 * everyMs + 8 + 1, `starts lie within ${width} ms of each other's grid`);
    assert.ok(width > 0.1 * everyMs, "starts are jittered");
    schedule.close();
  }
});

test("starts spread over the interval", async () => {
  const { clock, schedule, service } = setUp();
  const nodes = Array.from({ length: 500 }, (_, index) => fakeNode(`10.0.${index >> 8}.${index & 255}:6379`));

  schedule.assign(nodes);
  await clock.advance(1_000);

  const tenths = Array.from({ length: 10 }, () => 0);
  for (const start of service.startedMs) tenths[Math.min(9, Math.floor((start - 1_000) / 100))]! += 1;
  assert.equal(service.startedMs.length >= 480, true);
  assert.ok(Math.max(...tenths) < 90 && Math.min(...tenths) > 20, tenths.join(" "));
});

test("a check of every minute gets its first look within a second", async () => {
  const { clock, service, schedule } = setUp();

  schedule.assign([nodeWith({ everyMs: 60_000 })]);
  await clock.advance(1_010);
  assert.equal(service.startedMs.length, 1);

  await clock.advance(120_000);
  assert.ok(
    service.startedMs.length >= 2 && service.startedMs.length <= 4,
    `${service.startedMs.length} runs`,
  );
});

test("a frozen service gives a doubt at once and three failures in a row after 1.25 s", async () => {
  const setup = await setUpPassing();
  const { clock, service, reports, seen } = setup;
  service.mode = "silent";
  const firstMs = await advanceToNextRun(setup);

  await clock.advance(135);
  const doubt = reports.find((report) => report.isDoubt);
  assert.ok(doubt !== undefined && doubt.observation.outcome === "inconclusive");
  assert.equal(reports.filter((report) => report.isDoubt).length, 1);

  await clock.advanceUntil(() => seen().some((report) => report.consecutive === 3), 2_000);
  const third = seen().at(-1);
  assert.equal(third?.observation.outcome, "failed");
  assert.equal(third?.observation.outcome === "failed" && third.observation.reason, "timedOut");
  const tookMs = clock.monotonicMs() - firstMs;
  assert.ok(tookMs >= 1_245 && tookMs <= 1_350, `${tookMs} ms`);
});

test("a late reply cancels the miss, counts as slow, and nothing fails", async () => {
  const setup = await setUpPassing();
  const { clock, service, seen } = setup;
  service.mode = "silent";
  await advanceToNextRun(setup);
  await clock.advance(600);

  service.resume();
  await clock.advance(5_000);

  assert.deepEqual([...new Set(seen().map((report) => report.observation.outcome))], ["passed"]);
  const [first] = seen();
  assert.ok(first?.observation.outcome === "passed");
  assert.match(first.observation.warnings?.join() ?? "", /slow: answered after 600 ms/);
});

test("one lost request is not a miss when a standby connection is answered", async () => {
  const setup = await setUpPassing();
  const { clock, service, seen, reports } = setup;
  service.mode = "lost";
  await advanceToNextRun(setup);
  service.mode = "passing";

  await clock.advance(4_000);

  assert.equal(reports.filter((report) => report.isDoubt).length, 1);
  assert.deepEqual([...new Set(seen().map((report) => report.observation.outcome))], ["passed"]);
  const remarks = seen().flatMap((report) =>
    report.observation.outcome === "passed" ? (report.observation.warnings ?? []) : [],
  );
  assert.match(remarks.join(), /slow: an earlier look is unanswered for 1[23]\d ms/);
  assert.equal(service.aborted, 1);
});

test("a reply that waits in the socket when the timeout passes wins", async () => {
  let onExpired = (): void => {};
  const afterReads = (callback: () => void): void => {
    // What lies in the socket is read in the turn after the timeout.
    setImmediate(() => {
      onExpired();
      setImmediate(callback);
    });
  };
  const setup = await setUpPassing({ fall: 1 }, { afterReads });
  const { clock, service, seen } = setup;
  service.mode = "lost";
  await advanceToNextRun(setup);
  service.mode = "silent";
  await clock.advance(500);
  assert.equal(seen().length, 0);
  let expired = 0;
  onExpired = () => {
    expired += 1;
    service.answerLost();
  };

  await clock.advance(570);

  assert.equal(expired, 1);
  const [first] = seen();
  assert.ok(first?.observation.outcome === "passed");
  assert.match(first.observation.warnings?.join() ?? "", /slow: answered after 1\d\d\d ms/);
});

test("a refusal is looked at again 100 ms later, then at the fast interval until fall", async () => {
  const setup = await setUpPassing();
  const { clock, service, seen } = setup;
  service.mode = "refused";
  const firstMs = await advanceToNextRun(setup);

  await clock.advanceUntil(() => seen().some((report) => report.refusals === 2), 1_000);
  assert.ok(clock.monotonicMs() - firstMs <= 115, `${clock.monotonicMs() - firstMs} ms`);

  await clock.advance(1_000);
  const offsets = service.startedMs.filter((start) => start >= firstMs).map((start) => start - firstMs);
  assert.ok((offsets[2] ?? NaN) >= 225 && (offsets[2] ?? NaN) <= 245, offsets.join(" "));
  assert.deepEqual(
    seen()
      .filter((report) => report.observation.outcome === "failed")
      .map((report) => report.consecutive),
    [1, 2, 3],
  );
});

test("a node that is down is looked at with the base rate, also when every run lasts a whole interval", async () => {
  for (const mode of ["refused", "silent"] as const) {
    const setup = await setUpPassing();
    const { clock, service, schedule } = setup;
    service.mode = mode;
    await clock.advance(10_000);
    service.startedMs.length = 0;

    await clock.advance(60_000);

    const runs = service.startedMs.length;
    assert.ok(runs >= 55 && runs <= 61, `${runs} runs in 60 intervals while ${mode}`);
    schedule.close();
  }
});

test("a check that fails is looked at as often as interval_after_fail says, and its return is seen as soon", async () => {
  const setup = await setUpPassing({ everyMs: 60_000, failingEveryMs: 1_000 });
  const { clock, service, seen, schedule } = setup;
  service.mode = "refused";
  await clock.advanceUntil(() => (seen().at(-1)?.consecutive ?? 0) >= 3, 70_000);
  service.startedMs.length = 0;

  await clock.advance(20_000);
  const whileDown = service.startedMs.length;
  service.resume();
  await clock.advance(2_500);
  const back = seen().at(-1);
  service.startedMs.length = 0;
  await clock.advance(180_000);

  assert.ok(whileDown >= 18 && whileDown <= 21, `${whileDown} runs in 20 s while down`);
  assert.deepEqual([back?.observation.outcome, back?.consecutive], ["passed", 2]);
  assert.ok(service.startedMs.length <= 4, `${service.startedMs.length} runs in 3 minutes of health`);
  schedule.close();
});

test("rechecks stay below twice the base rate on average, whatever the service does", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("passing", "refused", "silent", "lost", "badStatus"), {
        minLength: 5,
        maxLength: 60,
      }),
      async (modes) => {
        const { clock, service, schedule } = setUp({}, modes.length);
        schedule.assign([nodeWith({ timeoutMs: 500 })]);
        for (const mode of modes as ("passing" | "refused")[]) {
          if (mode === "passing") service.resume();
          service.mode = mode;
          await clock.advance(500);
        }

        const seconds = modes.length / 2;
        // The base rate, twice of it in rechecks, and what a full bucket and the first look allow.
        assert.ok(
          service.startedMs.length <= 3 * (seconds + 1) + 8,
          `${service.startedMs.length} runs in ${seconds} s`,
        );
        assert.ok(service.mostOutstanding <= 6, `${service.mostOutstanding} at once`);
        schedule.close();
      },
    ),
    runs(15),
  );
});

test("consecutive counts what was seen in a row, and inconclusive changes nothing", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("passed", "degraded", "failed", "inconclusive"), {
        minLength: 1,
        maxLength: 40,
      }),
      async (outcomes) => {
        let next = 0;
        const { clock, schedule, seen } = setUp({
          createCheck: () => ({
            run: () => {
              const outcome = outcomes[next++ % outcomes.length] ?? "passed";
              if (outcome === "passed") return Promise.resolve({ outcome, latencyMs: 1 });
              return Promise.resolve({ outcome, reason: "badStatus", detail: "", latencyMs: 1 } as const);
            },
            close: () => {},
          }),
        });
        schedule.assign([nodeWith({ fall: 1 })]);
        await clock.advance(15_000);

        let before: { kind: string; count: number } = { kind: "", count: 0 };
        for (const { observation, consecutive } of seen()) {
          if (observation.outcome !== "inconclusive") {
            const kind = observation.outcome === "failed" ? "failed" : "alive";
            before = { kind, count: before.kind === kind ? before.count + 1 : 1 };
          }
          assert.equal(consecutive, before.count);
        }
        assert.ok(seen().length >= 13);
        schedule.close();
      },
    ),
    runs(15),
  );
});

test("news leaves in the tick in which it is known, the rest in batches", async () => {
  const { clock, service, schedule, batches } = setUp();
  const nodes = Array.from({ length: 200 }, (_, index) => fakeNode(`10.0.0.${index}:6379`));
  schedule.assign(nodes);
  await clock.advance(3_000);
  batches.length = 0;

  await clock.advance(1_000);
  assert.ok(batches.length <= 25, `${batches.length} batches for 200 passes`);

  batches.length = 0;
  service.mode = "refused";
  await clock.advanceUntil(
    () => batches.flat().some((report) => report.observation.outcome === "failed"),
    200,
    1,
  );
  const failure = batches.flat().find((report) => report.observation.outcome === "failed");
  assert.equal(failure?.takenAtMs, clock.monotonicMs());
});

test("a connection that is lost between two looks is worth a look at once, within bounds", async () => {
  const setup = await setUpPassing({ everyMs: 10_000 });
  const { clock, service, seen } = setup;
  service.mode = "refused";
  const lost = service.contexts[0]?.onConnectionLost;
  assert.ok(lost !== undefined);

  for (let count = 0; count < 50; count++) lost();
  await clock.advance(1);

  assert.equal(service.startedMs.length, 1);
  assert.equal(seen()[0]?.observation.outcome, "failed");
  await clock.advance(110);
  assert.equal(seen().at(-1)?.refusals, 2);
});

test("a stall of this process fails nobody and is looked into again at once", async () => {
  const setup = await setUpPassing({ fall: 1 });
  const { clock, service, schedule, seen } = setup;
  service.mode = "silent";
  await advanceToNextRun(setup);
  clock.stall(1_300);
  // The request was lost with the stall; the service is well.
  service.mode = "passing";

  await clock.advance(80);

  assert.deepEqual(
    seen().map((report) => report.observation.outcome),
    ["passed"],
  );
  assert.equal(schedule.stats().tainted, 1);
});

test("assign() keeps what did not change: cadence, connections and counters", async () => {
  const { clock, service, schedule, seen } = setUp();
  const nodes = [fakeNode("10.0.0.1:6379"), fakeNode("10.0.0.2:6379")];
  schedule.assign(nodes);
  await clock.advance(5_000);
  const before =
    seen()
      .filter((report) => report.node.addr === "10.0.0.1:6379")
      .at(-1)?.consecutive ?? 0;

  schedule.assign([structuredClone(nodes[0]) as ScheduledNode, fakeNode("10.0.0.3:6379")]);
  await clock.advance(1_150);

  assert.equal(service.contexts.length, 3);
  assert.equal(service.closed, 1);
  const after =
    seen()
      .filter((report) => report.node.addr === "10.0.0.1:6379")
      .at(-1)?.consecutive ?? 0;
  assert.ok(after > before);
  assert.deepEqual(
    schedule
      .latest()
      .map((report) => report.node.addr)
      .sort(),
    ["10.0.0.1:6379", "10.0.0.3:6379"],
  );
});

test("assign() re-times a changed interval, and makes a check anew for other options, timeout or epoch", async () => {
  const { clock, service, schedule, seen } = setUp();
  schedule.assign([nodeWith({})]);
  await clock.advance(5_000);

  schedule.assign([nodeWith({ everyMs: 200, fall: 5 })]);
  service.startedMs.length = 0;
  await clock.advance(2_000);
  assert.ok(
    service.startedMs.length >= 8 && service.startedMs.length <= 11,
    `${service.startedMs.length} runs`,
  );
  assert.equal(service.contexts.length, 1);
  assert.ok((seen().at(-1)?.consecutive ?? 0) > 10);

  schedule.assign([nodeWith({ everyMs: 200, options: { role: "primary" } })]);
  await clock.advance(201);
  assert.equal(service.contexts.length, 2);
  assert.equal(seen().at(-1)?.consecutive, 1);

  schedule.assign([nodeWith({ everyMs: 200, options: { role: "primary" } }, { epoch: 2 })]);
  await clock.advance(201);
  assert.equal(service.contexts.length, 3);

  schedule.assign([]);
  assert.equal(service.closed, 3);
  assert.deepEqual(schedule.latest(), []);
});

test("probe() of a stranger looks at once and every fast interval, then lets go of it", async () => {
  const { clock, service, schedule, seen } = setUp();
  const startMs = clock.monotonicMs();

  schedule.probe(nodeWith({}), 2_000);
  await clock.advance(5);
  assert.equal(seen()[0]?.observation.outcome, "passed");
  await clock.advance(4_000);

  assert.ok(
    service.startedMs.length >= 14 && service.startedMs.length <= 17,
    service.startedMs.map((at) => at - startMs).join(" "),
  );
  assert.equal(service.closed, 1);
  assert.equal(schedule.stats().checks, 0);
});

test("probe() of a frozen stranger reaches three failures 1.25 s later, and of a dead one two refusals after 100 ms", async () => {
  for (const { mode, isEnough, limitMs } of [
    { mode: "silent", isEnough: (report: ObservationReport) => report.consecutive === 3, limitMs: 1_300 },
    { mode: "refused", isEnough: (report: ObservationReport) => report.refusals === 2, limitMs: 120 },
  ] as const) {
    const { clock, service, schedule, seen } = setUp();
    service.mode = mode;

    schedule.probe(nodeWith({}), 5_000);

    await clock.advanceUntil(() => seen().some(isEnough), limitMs);
    schedule.close();
  }
});

test("a probe that is asked for again and again looks at a service that stays away no more than its check would", async () => {
  for (const away of ["reset", "refused", "silent"] as const) {
    const { clock, service, schedule } = setUp();
    service.mode = away;
    const node = nodeWith({});
    const looksIn = async (ms: number): Promise<number> => {
      const before = service.startedMs.length;
      for (let at = 0; at < ms; at += 4_000) {
        schedule.probe(node, 5_000);
        await clock.advance(4_000);
      }
      return service.startedMs.length - before;
    };
    await looksIn(4_000);

    const looks = await looksIn(60_000);

    assert.ok(looks >= 50 && looks <= 65, `${away}: ${looks} looks in 60 s`);
    service.resume();
    assert.ok((await looksIn(4_000)) >= 12, `${away}: its return is looked into`);
  }
});

test("a probed stranger that is assigned meanwhile keeps its counters and goes on", async () => {
  const { clock, service, schedule, seen } = setUp();
  schedule.probe(nodeWith({}), 1_000);
  await clock.advance(500);

  schedule.assign([nodeWith({})]);
  await clock.advance(10_000);

  assert.equal(service.contexts.length, 1);
  assert.ok((seen().at(-1)?.consecutive ?? 0) > 10);
});

test("runOnce() looks on a connection of its own and changes no counters", async () => {
  const setup = await setUpPassing();
  const { clock, service, schedule, reports } = setup;
  const node = nodeWith({});

  const passing = schedule.runOnce(node, fakeCheckConfig());
  await clock.advance(5);
  assert.equal((await passing).outcome, "passed");
  assert.equal(service.contexts.length, 2);
  assert.equal(service.closed, 1);

  service.mode = "lost";
  const silent = schedule.runOnce(node, fakeCheckConfig({ timeoutMs: 300 }));
  await clock.advance(310);
  const observation = await silent;
  assert.ok(observation.outcome === "failed" && observation.reason === "timedOut");
  assert.equal(observation.detail, "no answer within 300 ms");

  service.broken = new Error("no such option");
  assert.equal((await schedule.runOnce(node, fakeCheckConfig())).outcome, "inconclusive");
  assert.ok(reports.every((report) => report.observation.outcome !== "failed"));
});

test("a check that cannot be made says why, and is tried again at the cadence", async () => {
  const { clock, service, schedule, seen } = setUp();
  service.broken = new Error('Unknown option "rolle"');
  schedule.assign([nodeWith({})]);

  await clock.advance(3_500);
  assert.ok(seen().length >= 3 && seen().length <= 4);
  for (const { observation } of seen()) {
    assert.ok(observation.outcome === "inconclusive" && observation.reason === "internal");
    assert.equal(observation.detail, 'Unknown option "rolle"');
  }

  service.broken = null;
  await clock.advance(1_200);
  assert.equal(seen().at(-1)?.observation.outcome, "passed");
});

test("a check that throws or rejects is inconclusive, not the service's failure", async () => {
  for (const run of [
    () => Promise.reject(new Error("bug")),
    () => {
      throw new Error("bug");
    },
  ]) {
    const { clock, schedule, seen } = setUp({ createCheck: () => ({ run, close: () => {} }) });
    schedule.assign([nodeWith({})]);
    await clock.advance(2_000);

    assert.ok(seen().length >= 1);
    assert.ok(
      seen().every(
        ({ observation }) => observation.outcome === "inconclusive" && observation.detail === "bug",
      ),
    );
    schedule.close();
  }
});

test("a service that always takes long raises no doubt once that is known", async () => {
  const { clock, service, schedule, reports } = setUp();
  service.latencyMs = 450;
  schedule.assign([nodeWith({ timeoutMs: 2_000 })]);
  await clock.advance(5_000);
  reports.length = 0;
  service.startedMs.length = 0;

  await clock.advance(20_000);

  assert.equal(reports.filter((report) => report.isDoubt).length, 0);
  assert.ok(service.startedMs.length <= 21);
});

test("self-doubt stretches intervals and timeouts, and goes away again", async () => {
  let cpuMs = 0;
  const selfDoubtSource = { sample: () => ({ cpuPressure: 5, canaryMs: cpuMs }), close: () => {} };
  const setup = await setUpPassing({}, { selfDoubtSource });
  const { clock, service, schedule } = setup;
  assert.equal(schedule.selfDoubt().level, 0);

  cpuMs = Infinity;
  await clock.advance(3_100);
  assert.equal(schedule.selfDoubt().level, 3);
  assert.equal(schedule.selfDoubt().cause, "no echo on loopback");
  await clock.advance(20_000);
  assert.equal(schedule.selfDoubt().level, 8);
  service.startedMs.length = 0;
  await clock.advance(90_000);
  assert.ok(
    service.startedMs.length >= 9 && service.startedMs.length <= 11,
    `${service.startedMs.length} runs in 90 s`,
  );

  cpuMs = 1;
  await clock.advance(20_000);
  assert.equal(schedule.selfDoubt().level, 0);
});

test("losing most hosts at once is rather our fault, losing this host's own services is theirs", async () => {
  for (const { prefix, isOurs } of [
    { prefix: "10.9.0.", isOurs: true },
    { prefix: "127.0.0.", isOurs: false },
  ]) {
    const { clock, service, schedule } = setUp();
    schedule.assign([1, 2, 3, 4, 5].map((last) => fakeNode(`${prefix}${last}:6379`)));
    await clock.advance(4_000);
    service.mode = "lost";

    await clock.advance(5_000);

    assert.equal(schedule.selfDoubt().level > 0, isOurs);
    schedule.close();
  }
});

test("evidence of an exit goes with the first refusal, or follows as soon as it is there, and is withdrawn", async () => {
  let state: "exited" | "running" = "running";
  const processWatcher = {
    watch: () => {},
    relearn: () => {},
    evidence: () => ({ state, detail: "process 7 has exited and nobody listens" }),
    close: () => {},
  };
  const setup = await setUpPassing({ everyMs: 10_000 }, { processWatcher });
  const { clock, service, seen } = setup;
  service.mode = "refused";
  service.contexts[0]?.onConnectionLost();
  await clock.advance(2);
  assert.equal(seen().at(-1)?.hasProcessExited, false);
  state = "exited";
  await clock.advance(5);

  const told = seen().at(-1);
  assert.equal(told?.hasProcessExited, true);
  assert.equal(told.consecutive, 1);
  assert.ok(told.observation.outcome === "failed");
  assert.equal(told.observation.detail, "refused; process 7 has exited and nobody listens");

  state = "running";
  await clock.advance(110);
  assert.equal(seen().at(-1)?.hasProcessExited, false);
});

test("close() ends checks, timers and reports", async () => {
  const setup = await setUpPassing();
  const { clock, service, schedule, reports } = setup;
  service.mode = "silent";
  await advanceToNextRun(setup);

  schedule.close();
  schedule.close();
  await clock.advance(10_000);

  assert.equal(service.closed, 1);
  assert.equal(service.outstanding, 0);
  assert.equal(clock.pendingTimers, 0);
  assert.equal(reports.length, 0);
});
