import { ClusterduckError } from "../../common/errors.js";
import type { EventType } from "../state/model.js";

/** A record, so that the compiler finds the type that is missing here. */
const TYPES: Readonly<Record<EventType, true>> = {
  state: true,
  nodes: true,
  active: true,
  overlay: true,
  config: true,
  panic: true,
  "agent.found": true,
  "agent.lost": true,
  "agent.removed": true,
  "coordinator.added": true,
  "token.created": true,
  "token.revoked": true,
  "coordinator.removed": true,
  spares: true,
  "run.finished": true,
  "delivery.failed": true,
  "delivery.converged": true,
};

/** The seed's word for a changed set of nodes. */
const ALIASES: Readonly<Record<string, string>> = { changed: "nodes" };

/**
 * A type as people ask for it: `agent` stands for `agent.lost` and `agent.found`.
 * @throws ClusterduckError INVALID_ARGUMENT that lists the types: a misspelt one would stay silent for ever.
 */
export function readEventType(text: string): string {
  const type = Object.hasOwn(ALIASES, text) ? (ALIASES[text] ?? text) : text;
  const known = Object.keys(TYPES);
  if (known.some((each) => isTypeOf(each, type))) return type;
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Unknown event type ${JSON.stringify(text)}: expected ${known.join(", ")}, or the part before a dot`,
  );
}

export function isTypeOf(type: string, wanted: string): boolean {
  return type === wanted || type.startsWith(`${wanted}.`);
}
