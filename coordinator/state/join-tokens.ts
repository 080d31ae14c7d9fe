import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED, refused } from "./context.js";
import type { Context } from "./context.js";
import type { JoinTokenRecord, MemberRecord } from "./model.js";

/** So long after a token's end it is still listed, milliseconds: whoever wonders who used it looks within days. */
const KEPT_MS = 7 * 86_400_000;
const TOKENS_MAX = 1_000;
const HINT = "make another one: duckctl tokens create ID";

export function setJoinSecret(
  context: Context,
  { secret }: Extract<Command, { type: "setJoinSecret" }>,
): CommandResult {
  if (context.state.joinSecret === "") context.state.joinSecret = secret;
  return ACCEPTED;
}

export function addJoinToken(
  context: Context,
  { token }: Extract<Command, { type: "addJoinToken" }>,
): CommandResult {
  const { state, atMs, by } = context;
  for (const { id, expiresAtMs } of state.joinTokens.values())
    if (expiresAtMs + KEPT_MS <= atMs) state.joinTokens.delete(id);
  if (state.joinTokens.size >= TOKENS_MAX) {
    return refused("CONFLICT", `There are ${TOKENS_MAX} join tokens already: wait until some have expired`);
  }
  const { id, coordinatorId, expiresAtMs } = token;
  if (state.joinTokens.has(id)) return refused("CONFLICT", `There is a join token "${id}" already`);
  state.joinTokens.set(id, { id, coordinatorId, by, madeAtMs: atMs, expiresAtMs, end: null });
  context.emit({
    type: "token.created",
    message: `A join token for coordinator "${coordinatorId}" was made; it works until ${dateOf(expiresAtMs)}`,
    data: { token: id, coordinator: coordinatorId, by },
  });
  return ACCEPTED;
}

/** Idempotent, but for one that was used: whoever joined with it is a member, and revoking would not change that. */
export function revokeJoinToken(
  context: Context,
  { tokenId }: Extract<Command, { type: "revokeJoinToken" }>,
): CommandResult {
  const { state, atMs, by } = context;
  const token = state.joinTokens.get(tokenId);
  if (token === undefined) return refused("NOT_FOUND", `There is no join token "${tokenId}"`);
  if (token.end?.kind === "used") {
    const remedy = `duckctl coordinators remove ${token.coordinatorId} takes that coordinator out again`;
    return refused("CONFLICT", `Cannot revoke join token "${tokenId}": it ${wasUsed(token)}; ${remedy}`);
  }
  if (token.end !== null) return ACCEPTED;
  state.joinTokens.set(tokenId, { ...token, end: { kind: "revoked", atMs, by } });
  context.emit({
    type: "token.revoked",
    message: `The join token for coordinator "${token.coordinatorId}" was revoked`,
    data: { token: tokenId, coordinator: token.coordinatorId, by },
  });
  return ACCEPTED;
}

/** Why a member may not join with a token; null: it may. The same one may show it again, as its answer may get lost. */
export function tokenRefusal(
  { state, atMs }: Context,
  id: string,
  member: Pick<MemberRecord, "id" | "diskId">,
  known: MemberRecord | undefined,
): CommandResult | null {
  const token = state.joinTokens.get(id);
  if (token === undefined) return refused("NOT_ADMITTED", `This tier does not know the join token: ${HINT}`);
  if (token.coordinatorId !== member.id)
    return refused("NOT_ADMITTED", `The join token is for coordinator "${token.coordinatorId}"`);
  if (token.end?.kind === "revoked") {
    const when = dateOf(token.end.atMs);
    return refused("NOT_ADMITTED", `The join token was revoked at ${when}: ${HINT}`);
  }
  if (token.end !== null) {
    const isRepeated = known?.removedAtMs === null && known.diskId === member.diskId;
    return isRepeated
      ? null
      : refused("NOT_ADMITTED", `The join token ${wasUsed(token)}, and it works once: ${HINT}`);
  }
  if (token.expiresAtMs <= atMs)
    return refused("NOT_ADMITTED", `The join token expired at ${dateOf(token.expiresAtMs)}: ${HINT}`);
  return null;
}

/** After `tokenRefusal` found nothing. */
export function spend({ state, atMs, by }: Context, id: string): void {
  const token = state.joinTokens.get(id);
  if (token?.end === null) state.joinTokens.set(id, { ...token, end: { kind: "used", atMs, by } });
}

function wasUsed({ coordinatorId, end }: JoinTokenRecord): string {
  return `was used already, by coordinator "${coordinatorId}" at ${dateOf(end?.atMs ?? 0)}`;
}

function dateOf(atMs: number): string {
  return new Date(atMs).toISOString();
}
