import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { NodeAttributes } from "../../common/model/node.js";
import type { Random } from "../../common/random.js";

/** A change of one node; no two that are under way at once concern the same node. */
export type NodeChange =
  | { readonly kind: "add"; readonly addr: string; readonly attributes: NodeAttributes }
  | { readonly kind: "remove"; readonly addr: string };

/** Something that keeps nodes and can be killed: a bare replica in a child process, or the whole product. */
export interface Subject {
  /** Starts it, or starts it again; resolves when it takes changes. */
  start(): Promise<RunningSubject>;
}

export interface RunningSubject {
  /** Resolves when the change is acknowledged; may never settle once killed. */
  apply(change: NodeChange): Promise<void>;
  /** Attributes by address. */
  nodes(): Promise<ReadonlyMap<string, NodeAttributes>>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

export type KillRoundsOptions = {
  readonly subject: Subject;
  readonly rounds: number;
  readonly random: Random;
  /** Changes under way at the same time. */
  readonly inFlight: number;
  /** A round's kill comes after 0 to this long, milliseconds. */
  readonly longestRoundMs: number;
};

export type KillRoundsReport = {
  readonly acknowledged: number;
  /** Changes under way when the kill came, and how many of them had happened nevertheless. */
  readonly unanswered: number;
  readonly happenedUnanswered: number;
};

/**
 * Kills the subject again and again under a stream of changes. After every restart each acknowledged
 * change must be there and each unanswered one wholly there or not at all.
 */
export async function killRounds(options: KillRoundsOptions): Promise<KillRoundsReport> {
  const { subject, rounds, random } = options;
  const expected = new Map<string, NodeAttributes>();
  const report = { acknowledged: 0, unanswered: 0, happenedUnanswered: 0 };
  const counter = { next: 0 };
  let running = await subject.start();
  check(expected, await running.nodes(), new Map(), 0);
  for (let round = 1; round <= rounds; round++) {
    const open = new Map<string, NodeChange>();
    const problems: unknown[] = [];
    let isKilled = false;
    const stream = async (target: RunningSubject): Promise<void> => {
      while (!isKilled) {
        const change = chooseChange(expected, open, random, counter);
        open.set(change.addr, change);
        await target.apply(change);
        // An answer that arrives after the kill was given before it.
        accept(expected, change);
        open.delete(change.addr);
        report.acknowledged++;
      }
    };
    for (let at = 0; at < options.inFlight; at++) {
      // Streams that the kill leaves hanging or failing are what this is about; others are problems.
      stream(running).catch((thrown: unknown) => {
        if (!isKilled) problems.push(thrown);
      });
    }
    await delay(random() * options.longestRoundMs);
    isKilled = true;
    await running.kill();
    assert.deepEqual(problems, [], `round ${round}: changes failed before the kill`);
    running = await subject.start();
    const actual = await running.nodes();
    report.unanswered += open.size;
    report.happenedUnanswered += check(expected, actual, open, round);
    expected.clear();
    for (const [addr, attributes] of actual) expected.set(addr, attributes);
  }
  await running.kill();
  return report;
}

function chooseChange(
  expected: ReadonlyMap<string, NodeAttributes>,
  open: ReadonlyMap<string, NodeChange>,
  random: Random,
  counter: { next: number },
): NodeChange {
  if (expected.size > 50 && random() < 0.6) {
    for (const addr of expected.keys()) if (!open.has(addr)) return { kind: "remove", addr };
  }
  const number = counter.next++;
  const addr = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}:6379`;
  const comment = "x".repeat(Math.floor(random() * 300));
  return { kind: "add", addr, attributes: { weight: number % 100, comment } };
}

function accept(expected: Map<string, NodeAttributes>, change: NodeChange): void {
  if (change.kind === "add") expected.set(change.addr, change.attributes);
  else expected.delete(change.addr);
}

/** Returns how many of the open changes have happened. */
function check(
  expected: ReadonlyMap<string, NodeAttributes>,
  actual: ReadonlyMap<string, NodeAttributes>,
  open: ReadonlyMap<string, NodeChange>,
  round: number,
): number {
  let happened = 0;
  for (const addr of new Set([...expected.keys(), ...actual.keys(), ...open.keys()])) {
    const change = open.get(addr);
    const now = actual.get(addr);
    if (change === undefined) {
      assert.deepEqual(
        now,
        expected.get(addr),
        `round ${round}: node ${addr}, whose last change was acknowledged`,
      );
    } else if (change.kind === "add") {
      if (now === undefined) continue;
      assert.deepEqual(now, change.attributes, `round ${round}: node ${addr} is there, but not whole`);
      happened++;
    } else if (now === undefined) {
      happened++;
    } else {
      assert.deepEqual(
        now,
        expected.get(addr),
        `round ${round}: node ${addr}, whose removal was not answered`,
      );
    }
  }
  return happened;
}
