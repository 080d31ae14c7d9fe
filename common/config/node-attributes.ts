import { ClusterduckError } from "../errors.js";
import type { NodeAttributes } from "../model/node.js";
import type { JsonValue } from "./model.js";
import { nodeAttributes } from "./schema/node.js";
import { UNUSABLE_KEY } from "./yaml-nodes.js";
import { noteAllowed, reportIssues } from "./zod-problems.js";

/**
 * Attributes that come in a message or a command, under the rules of those in a file: what a file could not
 * say must not enter the state another way.
 * @throws ClusterduckError INVALID_ARGUMENT that names every wrong attribute and what is allowed.
 */
export function readNodeAttributes(given: Readonly<Record<string, unknown>>): NodeAttributes {
  if (Object.hasOwn(given, "addr")) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      'Invalid attribute "addr": the address is given before the attributes and cannot be one of them',
    );
  }
  // The schema would pass over it, and no message could carry it: it must not vanish without a word.
  if (Object.hasOwn(given, UNUSABLE_KEY)) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Invalid attribute "${UNUSABLE_KEY}": is a word of the language: use another name`,
    );
  }
  const parsed = nodeAttributes.safeParse(given, { error: noteAllowed });
  if (parsed.success) return definedOf(parsed.data);
  const problems: string[] = [];
  reportIssues(parsed.error.issues, given as JsonValue, (path, message) => {
    problems.push(`Invalid attribute ${JSON.stringify(path.join("."))}: ${message}`);
  });
  throw new ClusterduckError("INVALID_ARGUMENT", problems.join("; "));
}

/** Whether an attribute is text whatever it looks like: a comment `2024` is no number. */
export function isTextAttribute(name: string): boolean {
  const isTaken = (value: unknown): boolean => nodeAttributes.safeParse({ [name]: value }).success;
  return isTaken("1") && !isTaken(1);
}

function definedOf(
  attributes: Readonly<Record<string, string | number | boolean | undefined>>,
): NodeAttributes {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
