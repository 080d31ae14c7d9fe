import type { Entry } from "../../../coordinator/raft/entry.js";
import { decodeMembership } from "../../../coordinator/raft/membership.js";
import type { Membership } from "../../../coordinator/raft/membership.js";
import type { Message, RequestId } from "../../../coordinator/raft/message.js";
import type { ForwardResult } from "../../../coordinator/raft/ready.js";
import type { Happening, TierMember } from "./member.js";

const TEXT = new TextDecoder();

/** One line about a member: who it is, where its log stands. Entries are written index/term. */
export function describeMember(member: TierMember): string {
  if (member.isDown) return `${member.id}: down`;
  const { role, term, vote, leaderId, commit, persisted, last } = member.core.status();
  const parts = [`${role}, term ${term}`];
  if (vote !== null) parts.push(`voted ${vote}`);
  if (role === "follower") parts.push(leaderId === null ? "no leader" : `follows ${leaderId}`);
  parts.push(`log ${describeLog(member)}`, `commit ${commit}`);
  if (persisted < last.index) parts.push(`on disk ${persisted}`);
  return `${member.id}: ${parts.join(", ")}`;
}

/** Neighbours of one term in one go: 1-3/1 4/2. What a snapshot has replaced comes first, in brackets. */
function describeLog({ core }: TierMember): string {
  const parts: string[] = [];
  const { base, last } = core;
  if (base.index > 0) parts.push(`[${base.index}/${base.term}]`);
  for (let first = base.index + 1; first <= last.index;) {
    const term = core.termAt(first);
    let end = first;
    while (core.termAt(end + 1) === term) end++;
    parts.push(end === first ? `${first}/${term}` : `${first}-${end}/${term}`);
    first = end + 1;
  }
  return parts.length === 0 ? "empty" : parts.join(" ");
}

export function describePeers({ core }: TierMember): readonly string[] {
  return core.status().peers.map((peer) => {
    const inflight = peer.inflightMessages === 0 ? "" : `, ${peer.inflightMessages} on the way`;
    const forgotten = peer.hasForgotten ? ", has forgotten what it acknowledged" : "";
    return `${peer.id}: ${peer.state}, match ${peer.match}, next ${peer.next}${inflight}${forgotten}`;
  });
}

export function describeHappening(id: string, happening: Happening): string | null {
  switch (happening.kind) {
    case "applied":
      return `${id} applies ${describeEntry(happening.entry)}`;
    case "installed":
      return `${id} installs the snapshot of ${happening.snapshot.last.index}`;
    case "read": {
      const { outcome } = happening;
      const name = `read ${describeRequest(outcome.request)}`;
      return outcome.kind === "failed" ? `${id}: ${name} failed` : `${id}: ${name} sees ${outcome.index}`;
    }
    case "forwarded":
      return `${id}: ${describeForward(happening.result)}`;
    case "leadership":
      return null;
  }
}

function describeForward({ request, outcome }: ForwardResult): string {
  const name = `proposal ${describeRequest(request)}`;
  switch (outcome.kind) {
    case "appended":
      return `${name} is entry ${outcome.position.index}/${outcome.position.term}`;
    case "refused":
      return `${name} refused: ${outcome.reason}`;
    case "unknown":
      return `${name} has no answer`;
  }
}

function describeRequest({ client, sequence }: RequestId): string {
  return `${client}.${sequence}`;
}

export function describeMessage(message: Message): string {
  return `${message.from} → ${message.to}  term ${message.term}: ${describeBody(message)}`;
}

function describeBody(message: Message): string {
  switch (message.kind) {
    case "preVote":
      return `preVote, last ${message.last.index}/${message.last.term}`;
    case "vote":
      return `vote, last ${message.last.index}/${message.last.term}${message.isTransfer ? ", for a transfer" : ""}`;
    case "preVoteReply":
    case "voteReply":
      return `${message.kind}, ${message.isGranted ? "granted" : "denied"}`;
    case "append": {
      const { previous, entries, commit, isQuiet } = message;
      const what = entries.length === 0 ? "nothing" : entries.map(describeEntry).join(" ");
      const how = isQuiet === true ? ", quiet" : "";
      return `append ${what} after ${previous.index}/${previous.term}, commit ${commit}${how}`;
    }
    case "appendReply":
      return message.isAccepted
        ? `appendReply, matches up to ${message.match}`
        : `appendReply, lacks ${message.rejected}, perhaps agrees at ${message.hint.index}/${message.hint.term}`;
    case "heartbeat":
      return message.round === 0 ? "heartbeat" : `heartbeat, round ${message.round}`;
    case "heartbeatReply":
      return `heartbeatReply${message.round === 0 ? "" : `, round ${message.round}`}, commit ${message.commit}`;
    case "installSnapshot":
      return `installSnapshot ${message.last.index}/${message.last.term} with ${describeMembers(message.membership)}`;
    case "timeoutNow":
      return "timeoutNow";
    case "readIndex":
      return `readIndex ${describeRequest(message.request)}`;
    case "readIndexReply":
      return `readIndexReply ${describeRequest(message.request)}, ${message.index ?? "not the leader"}`;
    case "propose":
      return `propose ${describeRequest(message.request)} "${TEXT.decode(message.payload)}"`;
    case "proposeReply":
      return `proposeReply, ${describeForward(message)}`;
  }
}

function describeEntry({ index, term, kind, payload }: Entry): string {
  switch (kind) {
    case "command":
      return `${index}/${term} "${TEXT.decode(payload)}"`;
    case "noop":
      return `${index}/${term} noop`;
    case "members":
      return `${index}/${term} members ${describeMembers(decodeMembership(payload))}`;
  }
}

/** Learners in brackets. */
export function describeMembers(membership: Membership): string {
  return membership.map(({ id, role }) => (role === "voter" ? id : `(${id})`)).join(" ");
}
