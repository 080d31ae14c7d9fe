import { ClusterduckError } from "../errors.js";
import type { NodeRef } from "../model/node.js";

/** Longer ones come from a broken or hostile peer. */
const NAME_MAX_CHARS = 512;

/** A whole number of ours as the 64-bit integer of the wire. */
export function toUint64(value: number): bigint {
  return BigInt(Math.max(0, Math.trunc(value)));
}

export function toUint32(value: number): number {
  return Math.min(0xffff_ffff, Math.max(0, Math.trunc(value)));
}

/** @throws ClusterduckError INVALID_ARGUMENT beyond 2^53, which no counter of ours reaches. */
export function fromUint64(value: bigint, what: string): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw invalid(`${what} is ${value}, expected at most ${Number.MAX_SAFE_INTEGER}`);
}

/** A duration or an age: finite and not negative. @throws ClusterduckError INVALID_ARGUMENT */
export function fromDuration(value: number, what: string): number {
  if (Number.isFinite(value) && value >= 0) return value;
  throw invalid(`${what} is ${value}, expected milliseconds of at least 0`);
}

/** @throws ClusterduckError INVALID_ARGUMENT */
export function fromNodeRef(ref: { readonly cluster: string; readonly addr: string } | undefined): NodeRef {
  if (ref === undefined) throw invalid("a node is missing");
  return { cluster: fromName(ref.cluster, "a node's cluster"), addr: fromName(ref.addr, "a node's address") };
}

/** A name that programs use as a key. @throws ClusterduckError INVALID_ARGUMENT */
export function fromName(value: string, what: string): string {
  if (value === "") throw invalid(`${what} is empty`);
  if (value.length > NAME_MAX_CHARS) {
    throw invalid(`${what} has ${value.length} characters, expected at most ${NAME_MAX_CHARS}`);
  }
  return value;
}

export function invalid(problem: string): ClusterduckError {
  return new ClusterduckError("INVALID_ARGUMENT", `Cannot accept the message: ${problem}`);
}
