import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, LONGEST_DURATION_MS, parseDuration } from "./duration.js";
import { ClusterduckError } from "./errors.js";
import { fc } from "../test/support/properties.js";

test("parseDuration() reads the seed's durations and bare milliseconds", () => {
  const read: readonly (readonly [string | number, number])[] = [
    ["1s", 1_000],
    ["1h", 3_600_000],
    ["500ms", 500],
    ["1m30s", 90_000],
    ["1m 30s", 90_000],
    ["1.5 hours", 5_400_000],
    ["2d", 172_800_000],
    [" 10s ", 10_000],
    ["1S", 1_000],
    ["250", 250],
    [250, 250],
    [0, 0],
    ["0s", 0],
    [0.4, 0],
  ];
  for (const [text, expected] of read) assert.equal(parseDuration(text), expected, String(text));
});

test("parseDuration() refuses what its library would skip over", () => {
  for (const text of [
    "",
    "soon",
    "1h or so",
    "s",
    "1 parsec",
    "1s!",
    "1e3s",
    "0x10",
    "1,5s",
    "1h30",
    "∞",
    NaN,
    Infinity,
  ]) {
    assert.throws(() => parseDuration(text), /is not a duration/, String(text));
  }
});

test("parseDuration() refuses negative and absurd durations and says which", () => {
  assert.throws(() => parseDuration("-1s"), /"-1s" is negative/);
  assert.throws(() => parseDuration(-5), /-5 is negative/);
  assert.throws(() => parseDuration("90000d"), /is too long: at most 3650d/);
  assert.throws(() => parseDuration("1ms", { minMs: 10, maxMs: 20 }), /"1ms" is too short: at least 10ms/);
  assert.throws(() => parseDuration(21, { minMs: 10, maxMs: 20 }), /21 is too long: at most 20ms/);
});

test("formatDuration() gives the shortest exact text", () => {
  assert.equal(formatDuration(0), "0s");
  assert.equal(formatDuration(90_000), "1m30s");
  assert.equal(formatDuration(86_400_001), "1d1ms");
  assert.equal(formatDuration(-1_500), "-1s500ms");
});

test("parseDuration() reads back whatever formatDuration() writes", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: LONGEST_DURATION_MS }), (durationMs) => {
      assert.equal(parseDuration(formatDuration(durationMs)), durationMs);
    }),
  );
});

test("parseDuration() throws nothing but INVALID_ARGUMENT", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.double(), fc.stringMatching(/^[0-9.smhd -]{0,20}$/)), (value) => {
      try {
        const durationMs = parseDuration(value);
        assert.ok(Number.isInteger(durationMs) && durationMs >= 0 && durationMs <= LONGEST_DURATION_MS);
      } catch (thrown) {
        assert.ok(thrown instanceof ClusterduckError, String(thrown));
        assert.equal(thrown.code, "INVALID_ARGUMENT");
      }
    }),
  );
});
