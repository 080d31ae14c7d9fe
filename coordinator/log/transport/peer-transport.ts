import type { Message, MessageOf } from "../../raft/message.js";

export type Peer = { readonly id: string; readonly address: string };

/** How one peer is reached, for people. */
export type PeerLink = {
  readonly id: string;
  readonly isConnected: boolean;
  /** Why it is not, in words; null while it is, or before the first attempt. */
  readonly problem: string | null;
  /** The problem is that one of both refuses the other: only a person can end that. */
  readonly isRefused: boolean;
  /** Messages thrown away since the start, because the peer was away or slow. */
  readonly droppedMessages: number;
  /** Messages of it left out since the start, because they are of kinds that only newer versions know. */
  readonly unknownMessages: number;
};

/** What the network brings. None of these may throw, though a snapshot may be refused. */
export interface TransportHandler {
  /** Messages to this member, of one that its certificate names, in order. */
  onMessages(messages: readonly Message[]): void;
  /**
   * A snapshot, complete and checked. Resolves when it is durable, or not needed.
   * @throws ClusterduckError STOPPING
   */
  onSnapshot(message: MessageOf<"installSnapshot">, data: Uint8Array): Promise<void>;
  /** What was sent to this peer lately may be lost. */
  onUnreachable(peer: string): void;
  /** A stream from or to this peer that was up has ended, and this member did not end it. */
  onDisconnected(peer: string): void;
}

/**
 * Carries messages between members. Nothing here ever waits for a peer: what cannot go out is thrown away,
 * which raft bears.
 */
export interface PeerTransport {
  /** Before this nothing is received. */
  start(handler: TransportHandler): void;
  /** The peers to be in touch with from now on. */
  follow(peers: readonly Peer[]): void;
  send(messages: readonly Message[]): void;
  /** Resolves with whether the peer has it all and has said so. Never rejects. */
  sendSnapshot(message: MessageOf<"installSnapshot">, data: Uint8Array): Promise<boolean>;
  /** Also those that were refused and are no peers of this member. Sorted by id. */
  links(): readonly PeerLink[];
  close(): Promise<void>;
}

/** For a tier that never has more than one member. */
export const noTransport: PeerTransport = {
  start: () => undefined,
  follow: () => undefined,
  send: () => undefined,
  sendSnapshot: () => Promise.resolve(false),
  links: () => [],
  close: () => Promise.resolve(),
};
