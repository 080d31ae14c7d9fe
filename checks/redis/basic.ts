import { systemClock, type Clock } from "../../common/clock.js";
import {
  basicOptions,
  type BasicExpectation,
  type BasicOptions,
  type ReplyType,
} from "../../common/config/checks/basic.js";
import type { Check, CheckContext } from "../check.js";
import { parseOptions } from "../parse-options.js";
import type { RedisConnection } from "./connection.js";
import { encodeCommand } from "./encode-command.js";
import { findingOfError, type Finding } from "./replies.js";
import { RedisSession } from "./session.js";
import { guardWrites, isWriteCommand } from "./write-pause.js";

type Step = {
  /** In upper case. */
  readonly name: string;
  readonly bytes: Buffer;
  readonly text: string;
  /** Why a reply is not the expected one; null: it is. */
  readonly mismatch: (reply: unknown) => string | null;
};

/** How much of a reply an error shows. */
const SHOWN_CHARACTERS = 120;

/**
 * Redis check `basic`: commands that all must succeed. They are sent in one go and answered in order.
 * @throws ClusterduckError CONFIG_INVALID for options that its schema refuses.
 */
export function createBasicCheck(context: CheckContext, clock: Clock = systemClock): Check {
  const options = parseOptions(basicOptions, context.config);
  const steps = options.commands.map(toStep);
  const session = new RedisSession(context, options, clock);
  const isWriting = steps.some((step) => isWriteCommand(step.name));
  const ask = (connection: RedisConnection): Promise<Finding> => runSteps(connection, steps);
  const guarded = (connection: RedisConnection): Promise<Finding> =>
    guardWrites({ answer: ask(connection), session, clock, timeoutMs: context.config.timeoutMs });
  return {
    run: (signal) => session.run(signal, isWriting ? guarded : ask),
    close: () => session.close(),
  };
}

function runSteps(connection: RedisConnection, steps: readonly Step[]): Promise<Finding> {
  const only = steps.length === 1 ? steps[0] : undefined;
  // The usual single PING, without what a list of commands needs.
  if (only !== undefined) return connection.sendBytes(only.bytes).then((reply) => judge(only, reply));
  return runAll(connection, steps);
}

async function runAll(connection: RedisConnection, steps: readonly Step[]): Promise<Finding> {
  const replies = await Promise.allSettled(steps.map((step) => connection.sendBytes(step.bytes)));
  let first: Finding = { outcome: "passed" };
  for (const [index, reply] of replies.entries()) {
    const step = steps[index] as Step;
    const found = reply.status === "fulfilled" ? judge(step, reply.value) : findingOfError(reply.reason);
    // A broken connection explains every command; the session may try another one.
    if (reply.status === "rejected" && found.outcome === "failed" && found.reason !== "mismatch")
      throw reply.reason;
    if (first.outcome === "passed" && found.outcome !== "passed") {
      first = { ...found, detail: `${step.text}: ${found.detail}` };
    }
  }
  return first;
}

function judge(step: Step, reply: unknown): Finding {
  const problem = step.mismatch(reply);
  if (problem === null) return { outcome: "passed" };
  return { outcome: "failed", reason: "mismatch", detail: problem };
}

function toStep(command: BasicOptions["commands"][number]): Step {
  const words = Array.isArray(command) ? command : command.command;
  const expected = Array.isArray(command) ? undefined : command.expect;
  const [name = "PING", ...args] = words;
  return {
    name: name.toUpperCase(),
    bytes: encodeCommand(name, args),
    text: name,
    mismatch: matcherOf(expected),
  };
}

function matcherOf(expected: BasicExpectation | undefined): Step["mismatch"] {
  if (expected === undefined) return () => null;
  if (typeof expected === "string") return equals(expected);
  if ("equals" in expected) return equals(expected.equals);
  if ("type" in expected) {
    const { type } = expected;
    return (reply) =>
      typeOf(reply) === type ? null : `expected a reply of type ${type}, got ${show(reply)}`;
  }
  const pattern = new RegExp(expected.regex);
  return (reply) =>
    isText(reply) && pattern.test(String(reply))
      ? null
      : `expected a reply that matches /${expected.regex}/, got ${show(reply)}`;
}

function equals(wanted: string): Step["mismatch"] {
  return (reply) =>
    isText(reply) && String(reply) === wanted ? null : `expected ${show(wanted)}, got ${show(reply)}`;
}

function isText(reply: unknown): reply is string | number {
  return typeof reply === "string" || typeof reply === "number";
}

function typeOf(reply: unknown): ReplyType {
  if (reply === null) return "nil";
  if (Array.isArray(reply)) return "array";
  return typeof reply === "number" ? "integer" : "string";
}

function show(reply: unknown): string {
  if (reply === null) return "nil";
  const text = JSON.stringify(reply);
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
}
