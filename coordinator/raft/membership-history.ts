import type { Entry } from "./entry.js";
import { invariant } from "./invariant.js";
import { decodeMembership } from "./membership.js";
import type { Membership } from "./membership.js";

type Change = { readonly index: number; readonly membership: Membership };

/**
 * The memberships in the log. The newest counts from the moment it is appended, committed or not, and a
 * truncation brings the one before back. Source: dissertation, section 4.1.
 */
export class MembershipHistory {
  /** Oldest first; the first is the one as of the log's base. */
  #changes: Change[];

  constructor(base: Change) {
    this.#changes = [base];
  }

  get current(): Membership {
    return this.#newest.membership;
  }

  /** Where the current membership stands in the log. */
  get currentIndex(): number {
    return this.#newest.index;
  }

  /** The membership as of an index at or after the base. */
  at(index: number): Membership {
    const change = this.#changes.findLast((each) => each.index <= index);
    invariant(change !== undefined, `The members as of entry ${index} are no longer known`);
    return change.membership;
  }

  append(entry: Entry): void {
    if (entry.kind !== "members") return;
    this.#changes.push({ index: entry.index, membership: decodeMembership(entry.payload) });
  }

  truncateAfter(index: number): void {
    const kept = this.#changes.filter((change) => change.index <= index);
    invariant(kept.length > 0, `Cannot void entry ${index + 1}: it is before the log's base`);
    this.#changes = kept;
  }

  compact(index: number): void {
    const oldest = this.#changes.findLastIndex((change) => change.index <= index);
    this.#changes = this.#changes.slice(Math.max(0, oldest));
  }

  get #newest(): Change {
    const change = this.#changes.at(-1);
    invariant(change !== undefined, "There is always a membership, if only an empty one");
    return change;
  }
}
