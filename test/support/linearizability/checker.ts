import type { Action, Operation, Value } from "./history.js";

export type Judgement =
  | { readonly kind: "linearizable" }
  | {
      readonly kind: "notLinearizable";
      readonly key: string;
      /** The most operations that could be put in an order, and … */
      readonly order: readonly Operation[];
      /** … the first that had returned by then and that no order could hold. */
      readonly stuckAt: Operation;
    }
  /** The search was given up after this many steps: neither proved nor refuted. */
  | { readonly kind: "tooHard"; readonly key: string; readonly steps: number };

export type JudgeOptions = {
  /** Per key. Raise it when a long history with many unknown outcomes is "too hard". */
  readonly maxSteps?: number;
};
const MAX_STEPS = 5_000_000;

/**
 * Is there an order of the operations, each at one moment between its begin and its end, in which every
 * read gives what was there? Keys are judged one by one, for a history is linearizable if each of its
 * keys is.
 * Sources: Wing and Gong, "Testing and verifying concurrent objects", 1993; Lowe, "Testing for
 * linearizability", 2017 (remembers the configurations seen; parts by key).
 */
export function judge(history: readonly Operation[], options: JudgeOptions = {}): Judgement {
  const byKey = new Map<string, Operation[]>();
  for (const operation of history) {
    const operations = byKey.get(operation.key);
    if (operations === undefined) byKey.set(operation.key, [operation]);
    else operations.push(operation);
  }
  for (const [key, operations] of [...byKey].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const judgement = judgeKey(key, relevant(operations), options.maxSteps ?? MAX_STEPS);
    if (judgement.kind !== "linearizable") return judgement;
  }
  return { kind: "linearizable" };
}

/**
 * Leaves out what can not matter: what did not happen, reads without an answer, and changes of unknown
 * outcome whose value nobody saw: if there is an order with one of them, there is one without it.
 */
function relevant(operations: readonly Operation[]): readonly Operation[] {
  const seen = new Set<string>();
  for (const operation of operations) {
    if (operation.op === "read" && operation.outcome === "ok") {
      for (const value of typeof operation.value === "string" ? [operation.value] : (operation.value ?? []))
        seen.add(value);
    }
    if (operation.op === "cas" && operation.value[0] !== null) seen.add(operation.value[0]);
  }
  return operations.filter((operation) => {
    if (operation.outcome === "ok") return true;
    if (operation.outcome === "fail" || operation.op === "read") return false;
    return seen.has(operation.op === "cas" ? operation.value[1] : operation.value);
  });
}

/** A begin or an end in the order of time, linked so that one can be taken out and put back. */
type Moment = {
  readonly at: number;
  readonly isBegin: boolean;
  /** The end of a begin; null where there was none. */
  readonly end: Moment | null;
  previous: Moment | null;
  next: Moment | null;
};

type Choice = { readonly moment: Moment; readonly before: Value };

function judgeKey(key: string, operations: readonly Operation[], maxSteps: number): Judgement {
  const head = momentsOf(operations);
  const taken = new Taken(operations.length);
  const known = new Set<string>();
  const choices: Choice[] = [];
  let best: { readonly order: readonly Operation[]; readonly stuckAt: Operation } | null = null;
  let open = operations.filter((operation) => operation.outcome === "ok").length;
  let state: Value = null;
  let moment = head.next;
  for (let steps = 0; open > 0; steps++) {
    if (steps > maxSteps) return { kind: "tooHard", key, steps };
    const operation = moment === null ? undefined : operations[moment.at];
    if (moment !== null && operation !== undefined && moment.isBegin) {
      const after = apply(state, operation);
      if (after !== undefined) {
        taken.add(moment.at);
        const configuration = `${taken.key()}|${JSON.stringify(after)}`;
        if (!known.has(configuration)) {
          known.add(configuration);
          choices.push({ moment, before: state });
          if (operation.outcome === "ok") open--;
          state = after;
          lift(moment);
          moment = head.next;
          continue;
        }
        taken.delete(moment.at);
      }
      moment = moment.next;
      continue;
    }
    // An end whose begin has no place yet, or nothing left to try: the last choice was wrong.
    if (operation !== undefined && (best === null || choices.length > best.order.length)) {
      best = { order: choices.flatMap((choice) => operations[choice.moment.at] ?? []), stuckAt: operation };
    }
    const last = choices.pop();
    if (last === undefined) {
      const stuckAt = best?.stuckAt ?? operations[0];
      if (stuckAt === undefined) return { kind: "linearizable" };
      return { kind: "notLinearizable", key, order: best?.order ?? [], stuckAt };
    }
    state = last.before;
    taken.delete(last.moment.at);
    if (operations[last.moment.at]?.outcome === "ok") open++;
    putBack(last.moment);
    moment = last.moment.next;
  }
  return { kind: "linearizable" };
}

/** @returns a head before the first moment. At one instant begins come first: such operations overlap. */
function momentsOf(operations: readonly Operation[]): Moment {
  const moments: { readonly moment: Moment; readonly ns: number }[] = [];
  for (const [at, operation] of operations.entries()) {
    const isEnding = operation.outcome === "ok" && operation.return_ns !== null;
    const end: Moment | null = isEnding
      ? { at, isBegin: false, end: null, previous: null, next: null }
      : null;
    moments.push({ moment: { at, isBegin: true, end, previous: null, next: null }, ns: operation.invoke_ns });
    if (end !== null) moments.push({ moment: end, ns: operation.return_ns ?? Infinity });
  }
  moments.sort((a, b) => a.ns - b.ns || Number(b.moment.isBegin) - Number(a.moment.isBegin));
  const head: Moment = { at: -1, isBegin: true, end: null, previous: null, next: null };
  let last = head;
  for (const { moment } of moments) {
    last.next = moment;
    moment.previous = last;
    last = moment;
  }
  return head;
}

function lift(begin: Moment): void {
  for (const moment of begin.end === null ? [begin] : [begin, begin.end]) {
    if (moment.previous !== null) moment.previous.next = moment.next;
    if (moment.next !== null) moment.next.previous = moment.previous;
  }
}

function putBack(begin: Moment): void {
  for (const moment of begin.end === null ? [begin] : [begin.end, begin]) {
    if (moment.previous !== null) moment.previous.next = moment;
    if (moment.next !== null) moment.next.previous = moment;
  }
}

/** A set of small numbers with a short name: all below some number, and a few above it. */
class Taken {
  readonly #has: boolean[];
  #below = 0;
  #highest = -1;

  constructor(size: number) {
    this.#has = Array.from({ length: size }, () => false);
  }

  add(at: number): void {
    this.#has[at] = true;
    while (this.#has[this.#below] === true) this.#below++;
    this.#highest = Math.max(this.#highest, at);
  }

  delete(at: number): void {
    this.#has[at] = false;
    this.#below = Math.min(this.#below, at);
  }

  key(): string {
    let above = "";
    for (let at = this.#below; at <= this.#highest; at++) if (this.#has[at] === true) above += `,${at}`;
    return `${this.#below}${above}`;
  }
}

/** The value afterwards; undefined: this can not have happened here. */
function apply(before: Value, action: Action): Value | undefined {
  switch (action.op) {
    case "read":
      return isSame(before, action.value) ? before : undefined;
    case "write":
      return action.value;
    case "cas":
      return before === action.value[0] ? action.value[1] : undefined;
    case "append":
      return [...(typeof before === "string" ? [before] : (before ?? [])), action.value];
  }
}

function isSame(one: Value, other: Value): boolean {
  return JSON.stringify(one ?? []) === JSON.stringify(other ?? []);
}
