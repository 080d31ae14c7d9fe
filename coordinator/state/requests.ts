import { nodeKey } from "../../common/model/node.js";
import { MAX_REQUESTS, REQUESTS_KEPT_MS } from "./bounds.js";
import type { Command, CommandResult } from "./commands.js";
import { refused } from "./context.js";
import type { Context } from "./context.js";
import type { RequestRecord, StateView } from "./model.js";

/** What the first one with this id was answered; null: this is the first one. */
export function answerOfRepeat(
  { requests }: Pick<StateView, "requests">,
  requestId: string,
  type: Command["type"],
): CommandResult | null {
  const known = requests.get(requestId);
  if (known === undefined) return null;
  if (known.type === type) return known.result;
  if (known.type === "closeRequest")
    return refused("CONFLICT", "Nothing was changed: this request was refused already, and has come again");
  return refused(
    "CONFLICT",
    `Request id "${requestId}" belongs to another change (${known.type} at index ${known.index}): every change needs its own`,
  );
}

/** Remembers an answer, and forgets the oldest ones: by number and by the stamps of the log, so the same on every member. */
export function rememberRequest(
  { state, index, atMs }: Context,
  requestId: string,
  { command, result }: { readonly command: Command; readonly result: CommandResult },
): void {
  const { requests, nodes } = state;
  const isOfNode = command.type === "addNode" || command.type === "setOverlay";
  const node = isOfNode && result.isAccepted ? nodes.get(nodeKey(command.node)) : undefined;
  const record: RequestRecord = { index, atMs, type: command.type, result };
  // Attributes may be long, and there may be thousands of requests: they stay with the node alone.
  requests.set(requestId, node === undefined ? record : { ...record, node: { ...node, attributes: {} } });
  for (const [id, oldest] of requests) {
    if (requests.size <= MAX_REQUESTS && oldest.atMs + REQUESTS_KEPT_MS > atMs) break;
    requests.delete(id);
  }
}
