import type { WebsocketOptions } from "../../common/config/checks/websocket.js";
import { messageOf } from "../../common/errors.js";
import { compileJsonMatcher, jsonMismatch } from "../../common/json-match.js";
import type { Reason } from "../../common/model/observation.js";

/** A conversation, prepared once per check. */
export type Flow = {
  readonly steps: readonly Step[];
  /** Characters of messages kept while a ping is awaited. */
  readonly maxPendingLength: number;
};

type Step =
  | { readonly kind: "send"; readonly text: string }
  | { readonly kind: "ping" }
  | {
      readonly kind: "expect";
      /** Why a message does not fit; null when it does. */
      readonly mismatch: (message: string) => string | null;
      readonly isSkipping: boolean;
    };

export type FlowState = {
  /** The step that waits for something. */
  readonly position: number;
  /** Messages that came before a step asked for one. */
  readonly pending: readonly string[];
  readonly skipped: number;
  readonly lastMismatch: string | null;
};

export type FlowEvent = { readonly kind: "message"; readonly text: string } | { readonly kind: "pong" };
export type FlowEffect = { readonly kind: "send"; readonly text: string } | { readonly kind: "ping" };
export type FlowResult =
  | { readonly outcome: "passed" }
  | { readonly outcome: "failed"; readonly reason: Reason; readonly detail: string };

export type FlowTurn = {
  readonly state: FlowState;
  /** What to do now, in order. */
  readonly effects: readonly FlowEffect[];
  /** null: the flow waits for an event. */
  readonly result: FlowResult | null;
};

const START: FlowState = { position: 0, pending: [], skipped: 0, lastMismatch: null };

export function compileFlow(options: WebsocketOptions): Flow {
  return { steps: options.flow.map(compileStep), maxPendingLength: options.max_payload };
}

function compileStep(step: WebsocketOptions["flow"][number]): Step {
  if ("send" in step) return { kind: "send", text: step.send };
  if ("send_json" in step) return { kind: "send", text: JSON.stringify(step.send_json) };
  if ("ping" in step) return { kind: "ping" };
  if ("expect_json" in step) {
    const matchers = step.expect_json.match.map(compileJsonMatcher);
    return {
      kind: "expect",
      isSkipping: step.expect_json.skip_forward,
      mismatch: (message) => jsonProblem(message, matchers),
    };
  }
  const { expect } = step;
  if (typeof expect === "string") {
    return { kind: "expect", isSkipping: false, mismatch: (message) => missing(message, expect) };
  }
  const regex = expect.regex === undefined ? null : new RegExp(expect.regex);
  return {
    kind: "expect",
    isSkipping: expect.skip_forward,
    mismatch: (message) => {
      const problem = expect.contains === undefined ? null : missing(message, expect.contains);
      if (problem !== null) return problem;
      if (expect.equals !== undefined && message !== expect.equals) {
        return `message is ${brief(message)}, expected ${brief(expect.equals)}`;
      }
      if (regex === null || regex.test(message)) return null;
      return `message is ${brief(message)}, expected it to match ${brief(regex.source)}`;
    },
  };
}

/** The first turn: everything up to the first step that waits. */
export function beginFlow(flow: Flow): FlowTurn {
  return proceed(flow, START);
}

/** Takes an event and plays on to the next step that waits. */
export function advanceFlow(flow: Flow, state: FlowState, event: FlowEvent): FlowTurn {
  const step = flow.steps[state.position];
  if (event.kind === "pong") {
    return step?.kind === "ping"
      ? proceed(flow, { ...state, position: state.position + 1 })
      : { state, effects: [], result: null };
  }
  const pending = [...state.pending, event.text];
  const length = pending.reduce((sum, text) => sum + text.length, 0);
  if (step?.kind === "ping" && length > flow.maxPendingLength) {
    const detail = `more than ${flow.maxPendingLength} characters of messages came before the answer to a ping`;
    return { state, effects: [], result: { outcome: "failed", reason: "tooLarge", detail } };
  }
  const next = { ...state, pending };
  return step?.kind === "expect" ? proceed(flow, next) : { state: next, effects: [], result: null };
}

/** What the flow was waiting for, for the day it waits in vain. */
export function describeWait(flow: Flow, state: FlowState): string {
  const step = flow.steps[state.position];
  const place = `step ${state.position + 1} of ${flow.steps.length}`;
  if (step?.kind === "ping") return `no answer to the ping of ${place}`;
  if (state.lastMismatch === null) return `no message for ${place}`;
  return `no fitting message for ${place}, ${state.skipped} skipped: ${state.lastMismatch}`;
}

function proceed(flow: Flow, from: FlowState): FlowTurn {
  const effects: FlowEffect[] = [];
  let state = from;
  for (;;) {
    const step = flow.steps[state.position];
    if (step === undefined) return { state, effects, result: { outcome: "passed" } };
    if (step.kind === "send") {
      effects.push({ kind: "send", text: step.text });
      state = { ...state, position: state.position + 1 };
      continue;
    }
    if (step.kind === "ping") {
      // Reached, not resumed: a ping step is left by its pong only.
      return { state, effects: [...effects, { kind: "ping" }], result: null };
    }
    const [message, ...pending] = state.pending;
    if (message === undefined) return { state, effects, result: null };
    const mismatch = step.mismatch(message);
    if (mismatch === null) {
      state = { position: state.position + 1, pending, skipped: 0, lastMismatch: null };
    } else if (step.isSkipping) {
      state = { ...state, pending, skipped: state.skipped + 1, lastMismatch: mismatch };
    } else {
      const detail = `step ${state.position + 1}: ${mismatch}`;
      return { state, effects, result: { outcome: "failed", reason: "mismatch", detail } };
    }
  }
}

function jsonProblem(
  message: string,
  matchers: readonly ReturnType<typeof compileJsonMatcher>[],
): string | null {
  let document: unknown;
  try {
    document = JSON.parse(message);
  } catch (thrown) {
    return `message ${brief(message)} is not JSON: ${messageOf(thrown).slice(0, 120)}`;
  }
  for (const matcher of matchers) {
    const mismatch = jsonMismatch(document, matcher);
    if (mismatch !== null) return mismatch;
  }
  return null;
}

function missing(message: string, part: string): string | null {
  return message.includes(part) ? null : `message is ${brief(message)}, expected it to hold ${brief(part)}`;
}

function brief(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}
