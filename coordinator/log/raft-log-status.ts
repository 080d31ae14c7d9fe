import type { Position } from "../raft/entry.js";
import type { ProgressState } from "../raft/progress.js";
import type { Role } from "../raft/ready.js";
import type { PeerStatus as CorePeer, RaftStatus } from "../raft/status.js";
import type { Contact } from "./contact.js";
import type { LogStatus, MemberTrouble, PeerProblem, PeerStatus } from "./replicated-log.js";
import type { LogStorage } from "./storage/log-storage.js";
import type { PeerLink } from "./transport/peer-transport.js";

/** How the leader replicates to a peer, and how this member reaches it. */
export type RaftPeerStatus = PeerStatus & {
  /** Null unless this member leads; for itself too. */
  readonly replication: {
    readonly state: ProgressState;
    readonly nextIndex: number;
    readonly inflightMessages: number;
    /** It denies what it has acknowledged: its disk was wiped. Remove it, and add it under another id. */
    readonly hasForgotten: boolean;
  } | null;
  /** Null for this member itself. */
  readonly link: Omit<PeerLink, "id"> | null;
};

/** Everything an operator may want to know of one member's log. */
export type RaftLogStatus = Omit<LogStatus, "peers"> & {
  readonly role: Role;
  readonly term: number;
  readonly leaderId: string | null;
  readonly votedFor: string | null;
  readonly lastIndex: number;
  /** Entries up to here are on this member's disk. */
  readonly persistedIndex: number;
  /** Entries up to here are committed, on this disk, and handed to the state machine. */
  readonly appliedIndex: number;
  readonly snapshot: Position;
  /** Bytes of entries that wait for a quorum. */
  readonly uncommittedBytes: number;
  /** Bytes of proposals made on this member that have no answer yet. */
  readonly pendingBytes: number;
  /** Milliseconds since a leader, and with it a quorum, was known; 0 while one is. */
  readonly leaderlessMs: number;
  /** Null unless this member leads and hands over. */
  readonly transferringTo: string | null;
  /** Whether the members in `peers` are committed. */
  readonly isMembershipSettled: boolean;
  readonly peers: readonly RaftPeerStatus[];
};

export type StatusSource = {
  readonly core: RaftStatus;
  readonly storage: LogStorage;
  readonly contact: Contact;
  readonly trouble: MemberTrouble | null;
  readonly links: readonly PeerLink[];
  readonly delivered: number;
  readonly pendingBytes: number;
};

const LOOK = "duckctl coordinators list -o wide";

export function raftLogStatus(source: StatusSource): RaftLogStatus {
  const { core, storage, contact, trouble, delivered, links } = source;
  return {
    commitIndex: core.commit,
    firstIndex: storage.base.index + 1,
    bytes: storage.bytes,
    role: core.role,
    term: core.term,
    leaderId: core.leaderId,
    votedFor: core.vote,
    lastIndex: core.last.index,
    persistedIndex: core.persisted,
    appliedIndex: delivered,
    snapshot: storage.base,
    uncommittedBytes: core.uncommittedBytes,
    pendingBytes: source.pendingBytes,
    leaderlessMs: contact.leaderlessMs,
    transferringTo: core.transferringTo,
    isMembershipSettled: core.membershipIndex <= core.commit,
    ...(trouble === null ? {} : { trouble }),
    peers: core.membership.map((member): RaftPeerStatus => {
      const isSelf = member.id === core.id;
      const progress = core.peers.find(({ id }) => id === member.id);
      return {
        ...member,
        silentMs: isSelf ? 0 : contact.silentMs(member.id),
        matchIndex: isSelf ? core.persisted : (progress?.match ?? null),
        replication: replicationOf(progress),
        link: isSelf ? null : linkOf(links, member.id),
        ...problemOf(progress, links, member.id),
      };
    }),
    strangers: links
      .filter(({ id, isRefused }) => isRefused && !core.membership.some((member) => member.id === id))
      .map(({ id, problem }) => ({ id, problem: { message: problem ?? "", hint: LOOK } })),
  };
}

function problemOf(
  progress: CorePeer | undefined,
  links: readonly PeerLink[],
  id: string,
): { readonly problem?: PeerProblem } {
  if (progress?.hasForgotten === true) {
    return {
      problem: {
        message: `Coordinator "${id}" denies what it has acknowledged: its data directory was lost, or is an older copy. It may have forgotten votes too, and must not go on under this id`,
        hint: `Stop ${id}; duckctl coordinators remove ${id}; then move its data directory away, give it another coordinator.id and let it join: duckctl coordinators add ID`,
      },
    };
  }
  const link = links.find((each) => each.id === id);
  if (link?.isRefused !== true) return {};
  return { problem: { message: link.problem ?? "", hint: LOOK } };
}

function replicationOf(progress: CorePeer | undefined): RaftPeerStatus["replication"] {
  if (progress === undefined) return null;
  const { state, next, inflightMessages, hasForgotten } = progress;
  return { state, nextIndex: next, inflightMessages, hasForgotten };
}

function linkOf(links: readonly PeerLink[], id: string): RaftPeerStatus["link"] {
  const link = links.find((each) => each.id === id);
  return link === undefined ? null : { ...link };
}
