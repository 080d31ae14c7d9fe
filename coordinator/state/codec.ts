import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { Command, StampedCommand } from "./commands.js";

/** Of the entry around a command. What a command may be, and from when on, is told by features.ts. */
const VERSION = 1;

const KNOWN = {
  initialise: true,
  applyConfig: true,
  addNode: true,
  removeNode: true,
  declareNodes: true,
  setOverlay: true,
  cut: true,
  agentFound: true,
  agentLost: true,
  removeAgent: true,
  startRun: true,
  finishRun: true,
  recordDelivery: true,
  setMember: true,
  removeMember: true,
  setJoinSecret: true,
  addJoinToken: true,
  revokeJoinToken: true,
  closeRequest: true,
  raiseFeatureLevel: true,
} satisfies Record<Command["type"], true>;

export function encodeCommand(command: StampedCommand): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: VERSION, ...command }));
}

/**
 * Reads a log entry's payload.
 * @throws ClusterduckError VERSION_UNSUPPORTED: a member that skipped an entry would differ from the others
 *   for ever, so it must stop.
 */
export function decodeCommand(payload: Uint8Array, index: number): StampedCommand {
  let decoded: Partial<StampedCommand> & { readonly v?: unknown };
  try {
    decoded = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)) as typeof decoded;
  } catch (thrown) {
    throw unsupported(index, `is not a command (${messageOf(thrown)})`);
  }
  const type = (decoded.command as { readonly type?: unknown } | undefined)?.type;
  if (decoded.v !== VERSION) {
    throw unsupported(
      index,
      `has format ${JSON.stringify(decoded.v)}; this version applies format ${VERSION}`,
    );
  }
  if (typeof type !== "string" || !Object.hasOwn(KNOWN, type)) {
    throw unsupported(
      index,
      `has the command type ${JSON.stringify(type)}, which this version does not know`,
    );
  }
  if (typeof decoded.atMs !== "number" || typeof decoded.by !== "string") {
    throw unsupported(index, "has no stamp");
  }
  if (decoded.requestId !== undefined && typeof decoded.requestId !== "string") {
    throw unsupported(index, `has the request id ${JSON.stringify(decoded.requestId)}, which is no text`);
  }
  return decoded as StampedCommand;
}

function unsupported(index: number, problem: string): ClusterduckError {
  return new ClusterduckError("VERSION_UNSUPPORTED", `Cannot apply log entry ${index}: it ${problem}`, {
    hint: "A newer version of clusterduck wrote it: start that version here",
  });
}
