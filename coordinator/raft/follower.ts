import type { Position } from "./entry.js";
import { invariant } from "./invariant.js";
import type { Append, SnapshotMark } from "./message.js";
import type { Self } from "./self.js";

/** How a member takes entries from the leader of its term. Source: Raft paper, section 5.3. */
export function takeAppend(self: Self, leader: string, append: Append): void {
  const { log } = self;
  const { previous, entries } = withoutCommitted(self, append);
  if (!log.has(previous)) {
    const index = log.lastAgreeing(previous);
    const hint = { index, term: log.termAt(index) ?? 0 };
    self.send(leader, { kind: "appendReply", isAccepted: false, rejected: previous.index, hint });
    return;
  }
  log.accept(previous, entries);
  // What lies behind may be the tail of an older leader: neither committed nor acknowledged with this.
  const match = previous.index + entries.length;
  log.commitTo(Math.min(append.commit, match));
  if (append.isQuiet !== true) self.promise(leader, { kind: "appendReply", isAccepted: true, match });
}

/** What is committed is equal everywhere, and perhaps no longer here to be compared. */
function withoutCommitted(self: Self, { previous, entries }: Append): Pick<Append, "previous" | "entries"> {
  const { log } = self;
  assertCommitted(self, previous);
  if (previous.index >= log.commit) return { previous, entries };
  for (const entry of entries) assertCommitted(self, entry);
  return {
    previous: { index: log.commit, term: log.termAt(log.commit) ?? 0 },
    entries: entries.filter((entry) => entry.index > log.commit),
  };
}

/**
 * Two tiers that go on under one name would agree on indexes, and on nothing else: whoever follows the wrong one
 * must notice it before it acknowledges anything.
 * @throws InvariantViolation unless what is committed here is what the leader has, as far as it can be compared.
 */
function assertCommitted({ log }: Self, { index, term }: Position): void {
  if (index > log.commit) return;
  const own = log.termAt(index);
  invariant(
    own === null || own === term,
    `Entry ${index} is committed here with term ${own}, and the leader has it with term ${term}: two different logs`,
  );
}

/**
 * How a member takes a complete snapshot from the leader of its term. Where its own log has the snapshot's
 * last entry, all of it before is equal too: it then keeps the log, which may reach further.
 */
export function takeSnapshot(self: Self, leader: string, { last, membership }: SnapshotMark): void {
  const { log } = self;
  assertCommitted(self, last);
  if (last.index > log.commit) {
    if (log.has(last)) log.commitTo(last.index);
    else log.restore({ last, membership });
  }
  self.promise(leader, { kind: "appendReply", isAccepted: true, match: log.commit });
}
