import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObservationReport } from "../common/model/observation.js";
import { ObservationBuffer } from "./observation-buffer.js";
import { fc } from "../test/support/properties.js";

function report(addr: string, consecutive: number, more: Partial<ObservationReport> = {}): ObservationReport {
  return {
    node: { cluster: "web", addr },
    check: "tcp",
    observation: { outcome: "passed", latencyMs: 1 },
    consecutive,
    refusals: 0,
    hasProcessExited: false,
    isDoubt: false,
    takenAtMs: consecutive,
    ...more,
  };
}

test("what is not acknowledged is sent again with the same numbers after a rewind", () => {
  const buffer = new ObservationBuffer({ batchReportsMax: 2 });
  buffer.add([1, 2, 3, 4, 5].map((count) => report("a:1", count)));
  const first = [buffer.next(), buffer.next()];

  buffer.acknowledge(1);
  buffer.rewind();

  assert.deepEqual(
    first.map((batch) => batch?.sequence),
    [1, 2],
  );
  assert.equal(buffer.firstSequence, 2);
  assert.deepEqual(buffer.next(), first[1]);
  assert.deepEqual(buffer.next(), { sequence: 3, reports: [report("a:1", 5)] });
  assert.equal(buffer.next(), null);
});

test("a coordinator that acknowledges nothing gets half of the buffer, and no more until it does", () => {
  const buffer = new ObservationBuffer({ reportsMax: 10, batchReportsMax: 1 });
  buffer.add([1, 2, 3, 4, 5, 6, 7, 8].map((count) => report("a:1", count)));
  const sent = [1, 2, 3, 4, 5, 6].map(() => buffer.next()?.sequence);

  buffer.acknowledge(3);

  assert.deepEqual(sent, [1, 2, 3, 4, 5, undefined]);
  assert.equal(buffer.next()?.sequence, 6);
});

test("a full buffer keeps the newest report of each check, drops doubts and counts what it gave up", () => {
  const buffer = new ObservationBuffer({ reportsMax: 4, batchReportsMax: 1 });
  buffer.add([report("a:1", 1)]);
  buffer.next();
  buffer.add([report("b:1", 1), report("a:1", 2), report("a:1", 3, { isDoubt: true }), report("b:1", 2)]);

  buffer.rewind();

  assert.equal(buffer.size, 2);
  assert.equal(buffer.dropped, 1);
  assert.deepEqual(buffer.next(), { sequence: 2, reports: [report("a:1", 2)] });
  assert.deepEqual(buffer.next(), { sequence: 3, reports: [report("b:1", 2)] });
});

test("a snapshot leaves out the checks of which something newer waits", () => {
  const buffer = new ObservationBuffer();
  buffer.add([report("a:1", 7)]);

  buffer.addSnapshot([report("a:1", 6), report("b:1", 3)]);

  assert.deepEqual(buffer.next()?.reports, [report("a:1", 7), report("b:1", 3)]);
});

test("a batch stays small when its texts are large", () => {
  const buffer = new ObservationBuffer({ batchCharsMax: 2_000 });
  const facts = { info: "x".repeat(1_500) };
  buffer.add(
    [1, 2, 3].map((count) =>
      report("a:1", count, { observation: { outcome: "passed", latencyMs: 1, facts } }),
    ),
  );

  assert.deepEqual(
    [1, 2, 3].map(() => buffer.next()?.reports.length),
    [1, 1, 1],
  );
});

test("however streams break, a coordinator that dedupes by number sees every report once and in order", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.constant({ kind: "send" as const }),
    fc.record({ kind: fc.constant("acknowledge" as const), behind: fc.nat(2) }),
    fc.constant({ kind: "break" as const }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const buffer = new ObservationBuffer({ batchReportsMax: 3 });
      const seen: number[] = [];
      let made = 0;
      let last = 0;
      const send = () => {
        const batch = buffer.next();
        if (batch === null || batch.sequence <= last) return batch !== null;
        last = batch.sequence;
        seen.push(...batch.reports.map(({ consecutive }) => consecutive));
        return true;
      };
      for (const now of steps) {
        if (now.kind === "add") buffer.add(Array.from({ length: now.count }, () => report("a:1", ++made)));
        else if (now.kind === "send") send();
        else if (now.kind === "acknowledge") buffer.acknowledge(Math.max(0, last - now.behind));
        else buffer.rewind();
      }
      buffer.rewind();
      while (send());

      assert.deepEqual(
        seen,
        Array.from({ length: made }, (_, at) => at + 1),
      );
    }),
  );
});
