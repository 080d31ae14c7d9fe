import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED, refused } from "./context.js";
import type { Context } from "./context.js";
import { levelRefusal } from "./features.js";
import { spend, tokenRefusal } from "./join-tokens.js";
import type { MemberRecord } from "./model.js";
import { listed } from "./state.js";

/**
 * A coordinator joins, or tells something new about itself. One that comes back under its id with an empty
 * disk has forgotten which votes it gave: it is refused, or two leaders of one term could be elected.
 */
export function setMember(
  context: Context,
  { member, token, isLeader }: Extract<Command, { type: "setMember" }>,
): CommandResult {
  const { state, atMs } = context;
  const known = state.members.get(member.id);
  const refusal =
    levelRefusal(context, member) ??
    (token === undefined ? null : tokenRefusal(context, token.id, member, known)) ??
    (known === undefined ? null : refusalOf(known, member, isLeader === true));
  if (refusal !== null) return refusal;
  if (token !== undefined) spend(context, token.id);
  state.members.set(member.id, { ...member, sinceMs: known?.sinceMs ?? atMs, removedAtMs: null });
  if (known !== undefined) return ACCEPTED;
  const { id, raftAddress, version } = member;
  context.emit({
    type: "coordinator.added",
    message: `Coordinator "${id}" at ${raftAddress} is a member of the tier`,
    data: { coordinator: id, raftAddress, version, by: context.by },
  });
  return ACCEPTED;
}

/** Idempotent, as whoever leads makes sure of it. */
export function removeMember(
  context: Context,
  { memberId }: Extract<Command, { type: "removeMember" }>,
): CommandResult {
  const { state, atMs } = context;
  const known = state.members.get(memberId);
  if (known === undefined) {
    const message = `There is no coordinator "${memberId}"; there are: ${listed(currentIds(context))}`;
    return refused("NOT_FOUND", message);
  }
  if (known.removedAtMs !== null) return ACCEPTED;
  state.members.set(memberId, { ...known, removedAtMs: atMs });
  context.emit({
    type: "coordinator.removed",
    message: `Coordinator "${memberId}" at ${known.raftAddress} was removed from the tier`,
    data: { coordinator: memberId, raftAddress: known.raftAddress, by: context.by },
  });
  return ACCEPTED;
}

function refusalOf(
  known: MemberRecord,
  member: Pick<MemberRecord, "id" | "diskId">,
  isLeader: boolean,
): CommandResult | null {
  const remedy = "give the new one another id (coordinator: id: …)";
  if (known.removedAtMs !== null) {
    const when = new Date(known.removedAtMs).toISOString();
    const message = `Coordinator id "${known.id}" belonged to one that was removed at ${when}, and no id is used twice: ${remedy}`;
    return refused("CONFLICT", message);
  }
  if (known.diskId === member.diskId || isLeader) return null;
  const message = `Coordinator "${known.id}" is a member already, with another data directory; one that lost its disk forgot which votes it gave, and may not come back under its old id: remove it (duckctl coordinators remove ${known.id}), then ${remedy} and let it join`;
  return refused("CONFLICT", message);
}

function currentIds({ state }: Context): readonly string[] {
  return [...state.members.values()]
    .filter((member) => member.removedAtMs === null)
    .map(({ id }) => id)
    .sort();
}
