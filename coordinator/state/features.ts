import { ClusterduckError } from "../../common/errors.js";
import { VERSION } from "../../common/version.js";
import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED, refused } from "./context.js";
import type { Context } from "./context.js";
import type { FeatureLevel, MemberRecord, StateView } from "./model.js";
import { listed } from "./state.js";

/**
 * What this program can apply. Raise it by one when the log may hold something that older programs cannot apply, and
 * say below from which level on that is put there. Programs of two levels then form one tier: nobody proposes what is
 * new before all of them know it.
 */
export const FEATURE_LEVEL: number = 1;

/** From which level on something may stand in the log. */
const SINCE = {
  /** A command may have the id of the request that it comes from. */
  requestIds: 1,
} as const;

export function allows(state: Pick<StateView, "featureLevel">, feature: keyof typeof SINCE): boolean {
  return state.featureLevel.level >= SINCE[feature];
}

/** The highest level that all present members have told to know; that of this program where there are none. */
export function commonLevel(members: StateView["members"]): number {
  return Math.min(FEATURE_LEVEL, ...present(members).map(levelOf));
}

/** Never lowers it. What a member has told counts, so that whoever proposes it may look at older records than these. */
export function raiseFeatureLevel(
  { state }: Context,
  { level, version }: Extract<Command, { type: "raiseFeatureLevel" }>,
): CommandResult {
  if (level <= state.featureLevel.level) return ACCEPTED;
  const behind = present(state.members).filter((member) => levelOf(member) < level);
  if (behind.length > 0) {
    const names = listed(behind.map(({ id }) => id).sort());
    return refused("CONFLICT", `Cannot go on to feature level ${level}: ${names} would not know it`);
  }
  state.featureLevel = { level, version };
  return ACCEPTED;
}

/** Null: it knows enough to be a member. */
export function levelRefusal(
  { state }: Context,
  member: Pick<MemberRecord, "id" | "version" | "featureLevel">,
): CommandResult | null {
  const { level, version } = state.featureLevel;
  if (levelOf(member) >= level) return null;
  const message = `Coordinator "${member.id}" is of version ${member.version} (feature level ${levelOf(member)}), and this tier went on to feature level ${level} with version ${version}, which older ones cannot follow: start version ${version} or a newer one there`;
  return refused("VERSION_UNSUPPORTED", message);
}

/** @throws ClusterduckError VERSION_UNSUPPORTED for a state that this program could not go on with. */
export function assertKnown({ level, version }: FeatureLevel): void {
  if (level <= FEATURE_LEVEL) return;
  throw new ClusterduckError(
    "VERSION_UNSUPPORTED",
    `Cannot take part with version ${VERSION} (feature level ${FEATURE_LEVEL}): this data directory's tier went on to feature level ${level} with version ${version}, which older ones cannot follow`,
    { hint: `Start version ${version} or a newer one here` },
  );
}

function levelOf({ featureLevel = 0 }: Pick<MemberRecord, "featureLevel">): number {
  return featureLevel;
}

function present(members: StateView["members"]): readonly MemberRecord[] {
  return [...members.values()].filter(({ removedAtMs }) => removedAtMs === null);
}
