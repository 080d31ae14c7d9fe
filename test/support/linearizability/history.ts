/**
 * What clients saw, one operation per line of JSON, so that any checker can judge it:
 * {"client":"a","op":"write","key":"x","value":"1","invoke_ns":10,"return_ns":25,"outcome":"ok"}
 */
export type Operation = {
  readonly client: string;
  readonly key: string;
  /** Monotonic time of one clock for all clients, nanoseconds. */
  readonly invoke_ns: number;
  /** Null while there is no answer. */
  readonly return_ns: number | null;
  /** `fail`: it certainly did not happen. `unknown`: it may happen at any time after its begin, or never. */
  readonly outcome: "ok" | "fail" | "unknown";
} & Action;

export type Action =
  /** `value` is what was read; null: nothing was there. */
  | { readonly op: "read"; readonly value: Value }
  | { readonly op: "write"; readonly value: string }
  /** Sets [1] where [0] stands. One that found something else is a `fail`. */
  | { readonly op: "cas"; readonly value: readonly [string | null, string] }
  /** Adds one element to a list. */
  | { readonly op: "append"; readonly value: string };

/** A register has a string, a list its elements. */
export type Value = string | readonly string[] | null;

export function formatHistory(history: readonly Operation[]): string {
  return history.map((operation) => `${JSON.stringify(operation)}\n`).join("");
}

/** @throws Error naming the line and what would work. */
export function parseHistory(text: string): readonly Operation[] {
  return text
    .split("\n")
    .map((line, at) => ({ line, number: at + 1 }))
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, number }) => parseOperation(line, number));
}

function parseOperation(line: string, number: number): Operation {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    throw new Error(`Line ${number} is not JSON: ${line.slice(0, 80)}`);
  }
  const problem = problemOf((raw ?? {}) as Record<string, unknown>);
  if (problem !== null) throw new Error(`Line ${number}: ${problem}`);
  return raw as Operation;
}

function problemOf(raw: Readonly<Record<string, unknown>>): string | null {
  const { client, op, key, value, invoke_ns, return_ns, outcome } = raw;
  if (typeof client !== "string" || typeof key !== "string") return "client and key must be strings";
  if (outcome !== "ok" && outcome !== "fail" && outcome !== "unknown")
    return `outcome is ${JSON.stringify(outcome)}, must be "ok", "fail" or "unknown"`;
  if (typeof invoke_ns !== "number") return "invoke_ns must be a number";
  if (outcome === "ok" && typeof return_ns !== "number") return "an operation that is ok needs return_ns";
  if (typeof return_ns === "number" && return_ns < invoke_ns) return "return_ns is before invoke_ns";
  if (op !== "read" && op !== "write" && op !== "cas" && op !== "append")
    return `op is ${JSON.stringify(op)}, must be "read", "write", "cas" or "append"`;
  return isValueOf(op, value) ? null : `value ${JSON.stringify(value)} does not fit op "${op}"`;
}

function isValueOf(op: Action["op"], value: unknown): boolean {
  const isText = (each: unknown): boolean => typeof each === "string";
  switch (op) {
    case "read":
      return (
        value === null ||
        value === undefined ||
        isText(value) ||
        (Array.isArray(value) && value.every(isText))
      );
    case "cas":
      return (
        Array.isArray(value) &&
        value.length === 2 &&
        (value[0] === null || isText(value[0])) &&
        isText(value[1])
      );
    case "write":
    case "append":
      return isText(value);
  }
}
