import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../../common/random.js";
import { judge } from "./checker.js";
import { formatHistory, parseHistory } from "./history.js";
import type { Action, Operation } from "./history.js";

/** `[client, action, begin, end]`; without an end the outcome is unknown. */
type Line = readonly [string, Action, number, number?];

function history(...lines: readonly Line[]): readonly Operation[] {
  return lines.map(([client, action, begin, end]) => ({
    client,
    key: "x",
    ...action,
    invoke_ns: begin,
    return_ns: end ?? null,
    outcome: end === undefined ? "unknown" : "ok",
  }));
}

const write = (value: string): Action => ({ op: "write", value });
const read = (value: string | readonly string[] | null): Action => ({ op: "read", value });
const append = (value: string): Action => ({ op: "append", value });
const cas = (from: string | null, to: string): Action => ({ op: "cas", value: [from, to] });

const GOOD: Readonly<Record<string, readonly Operation[]>> = {
  "nothing at all": [],
  "one after the other": history(["a", write("1"), 0, 1], ["b", read("1"), 2, 3]),
  "a read beside a write may see the old value": history(["a", write("1"), 0, 9], ["b", read(null), 1, 2]),
  "a read beside a write may see the new value": history(["a", write("1"), 0, 9], ["b", read("1"), 1, 2]),
  "two writes at once in either order": history(
    ["a", write("1"), 0, 9],
    ["b", write("2"), 0, 9],
    ["c", read("2"), 10, 11],
    ["c", read("2"), 12, 13],
  ),
  "a write of unknown outcome that happened later": history(
    ["a", write("1"), 0],
    ["b", read(null), 1, 2],
    ["b", read("1"), 3, 4],
  ),
  "a write of unknown outcome that never happened": history(["a", write("1"), 0], ["b", read(null), 5, 6]),
  "an end at the instant of a begin counts as overlapping": history(
    ["a", write("1"), 0, 5],
    ["b", read(null), 5, 6],
  ),
  "a list grows in the order of its reads": history(
    ["a", append("1"), 0, 5],
    ["b", append("2"), 0, 5],
    ["c", read(["2", "1"]), 6, 7],
  ),
  "a chain of compare and set": history(
    ["a", cas(null, "1"), 0, 1],
    ["b", cas("1", "2"), 2, 3],
    ["c", read("2"), 4, 5],
  ),
};

const BAD: Readonly<Record<string, readonly Operation[]>> = {
  "a stale read": history(["a", write("1"), 0, 1], ["b", read(null), 2, 3]),
  "a value that nobody wrote": history(["a", write("1"), 0, 1], ["b", read("7"), 2, 3]),
  "a read that goes back": history(["a", write("1"), 0, 9], ["b", read("1"), 1, 2], ["c", read(null), 3, 4]),
  "two readers that see two writes in different orders": history(
    ["a", write("1"), 0, 9],
    ["b", write("2"), 0, 9],
    ["c", read("1"), 10, 11],
    ["d", read("2"), 12, 13],
    ["c", read("1"), 14, 15],
  ),
  "an unknown write seen before it began": history(["b", read("1"), 1, 2], ["a", write("1"), 3]),
  "a lost acknowledged append": history(
    ["a", append("1"), 0, 1],
    ["a", append("2"), 2, 3],
    ["b", read(["2"]), 4, 5],
  ),
  "an element twice": history(["a", append("1"), 0, 1], ["b", read(["1", "1"]), 4, 5]),
  "a list that swaps its elements": history(
    ["a", append("1"), 0, 9],
    ["b", append("2"), 0, 9],
    ["c", read(["1", "2"]), 10, 11],
    ["c", read(["2", "1"]), 12, 13],
  ),
  "two that both compare and set from the same value": history(
    ["a", cas(null, "1"), 0, 9],
    ["b", cas(null, "2"), 0, 9],
  ),
};

for (const [name, operations] of Object.entries(GOOD)) {
  test(`linearizable: ${name}`, () => assert.deepEqual(judge(operations), { kind: "linearizable" }));
}

for (const [name, operations] of Object.entries(BAD)) {
  test(`not linearizable: ${name}`, () => assert.equal(judge(operations).kind, "notLinearizable"));
}

test("a change that failed did not happen", () => {
  const [failed] = history(["a", write("1"), 0, 1]);
  assert.ok(failed);

  const judgement = judge([{ ...failed, outcome: "fail" }, ...history(["b", read("1"), 2, 3])]);

  assert.equal(judgement.kind, "notLinearizable");
});

test("keys are judged apart, and the bad one is named with the operation that does not fit", () => {
  const good = history(["a", write("1"), 0, 1]);
  const bad = history(["a", write("1"), 0, 1], ["b", read("2"), 2, 3]).map((each) => ({ ...each, key: "y" }));

  const judgement = judge([...good, ...bad]);

  assert.ok(judgement.kind === "notLinearizable");
  assert.equal(judgement.key, "y");
  assert.deepEqual(judgement.stuckAt, bad[1]);
});

test("histories made from an order are linearizable, and a swapped read in them is noticed", () => {
  let noticed = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const made = makeHistory(seed);
    assert.equal(judge(made).kind, "linearizable", `seed ${seed}`);
    const reads = made.filter(({ op, value }) => op === "read" && value !== null);
    const last = reads.at(-1);
    if (last === undefined) continue;
    const spoilt = made.map((each) => (each === last ? { ...last, value: "nobody wrote this" } : each));
    if (judge(spoilt as readonly Operation[]).kind === "notLinearizable") noticed++;
  }
  assert.ok(noticed > 150, `${noticed} of 200`);
});

test("a search that takes too long says so", () => {
  const judgement = judge(makeHistory(1), { maxSteps: 3 });

  assert.equal(judgement.kind, "tooHard");
});

test("a history survives its lines", () => {
  const made = makeHistory(3);

  assert.deepEqual(parseHistory(formatHistory(made)), made);
});

test("a line that is no operation is refused with its number and what would work", () => {
  const good = formatHistory(history(["a", write("1"), 0, 1]));

  assert.throws(() => parseHistory(`${good}{"client":"a"}`), /Line 2: client and key must be strings/);
  assert.throws(() => parseHistory("nonsense"), /Line 1 is not JSON/);
  assert.throws(() => parseHistory(good.replace('"ok"', '"done"')), /must be "ok", "fail" or "unknown"/);
  assert.throws(() => parseHistory(good.replace('"1"', "1")), /value 1 does not fit op "write"/);
});

/** Forty operations of five clients around the moments at which they really happened; some answers are lost. */
function makeHistory(seed: number): readonly Operation[] {
  const random = seededRandom(seed);
  let value: string | null = null;
  const operations: Operation[] = [];
  for (let at = 0; at < 40; at++) {
    const moment = at * 10;
    const span = {
      invoke_ns: moment - Math.floor(random() * 60),
      return_ns: moment + Math.floor(random() * 60),
    };
    const action: Action = random() < 0.5 ? write(`${at}`) : read(value);
    if (action.op === "write") value = action.value;
    const isLost = random() < 0.1;
    operations.push({
      client: `c${at % 5}`,
      key: "x",
      ...action,
      ...span,
      outcome: isLost ? "unknown" : "ok",
    });
  }
  return operations;
}
