import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { NodeKey, NodeRef } from "../../common/model/node.js";
import { nodeKey } from "../../common/model/node.js";
import { Wakeup } from "../../common/wakeup.js";
import { toUint64 } from "../../common/wire/values.js";
import type { ReportRequestSchema } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { MemberVote } from "../health/world.js";
import type { Leadership, ReplicatedLog } from "../log/replicated-log.js";
import type { StateView } from "../state/model.js";
import { encodeMember } from "./identity.js";
import type { LivingMember } from "./identity.js";
import { encodeTrouble } from "./member-trouble.js";
import type { TierPeers } from "./peers.js";
import { VoteJournal } from "./vote-journal.js";
import { encodeVote } from "./vote-wire.js";
import type { NodeVote } from "./vote-wire.js";

export type ReporterOptions = {
  readonly self: () => LivingMember;
  readonly log: Pick<ReplicatedLog, "leadership" | "onLeadership" | "status">;
  readonly state: Pick<StateView, "clusterId" | "nodes">;
  readonly peers: Pick<TierPeers, "to">;
  readonly ownVote: (node: NodeRef) => MemberVote | null;
  readonly clock: Clock;
  readonly logger: Logger;
};

type Request = MessageInitShape<typeof ReportRequestSchema>;

/** Says that the votes stand; they do for 5 s without it. Milliseconds. */
const HEARTBEAT_MS = 1_000;
const RETRY_MS = 500;
/** Some hundred bytes each. */
const VOTES_PER_MESSAGE = 500;

/**
 * Tells the leader who this coordinator is and how it votes: everything once at the beginning of each leader's
 * term, then what changes. What is wrong with its disk, too: its log is silent then, and this stream needs no disk.
 */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #closing = new AbortController();
  readonly #unsubscribe: () => void;
  #stream: ReportStream | null = null;
  #cancelRetry: () => void = () => undefined;
  /** The same failure again and again is one event. */
  #toldFailure = "";
  #roundTripMs: number | null = null;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#unsubscribe = options.log.onLeadership(() => this.#follow());
    this.#follow();
  }

  /** The votes on these nodes were formed anew. */
  voted(nodes: readonly NodeRef[]): void {
    for (const node of nodes) this.#stream?.offer(node);
  }

  /** Tells of itself anew: an address has changed. */
  introduceAgain(): void {
    this.#stream?.end(new ClusterduckError("STOPPING", "Opened anew"));
  }

  /** Of the newest heartbeat to the leader; null while there is none. */
  get roundTripMs(): number | null {
    return this.#stream === null ? null : this.#roundTripMs;
  }

  close(): void {
    this.#closing.abort();
    this.#unsubscribe();
    this.#cancelRetry();
    this.#stream?.end(new ClusterduckError("STOPPING", "The coordinator is stopping"));
  }

  #follow(): void {
    const leadership = this.#options.log.leadership();
    const { leaderId, term, isLeader } = leadership;
    const isSame = this.#stream?.leaderId === leaderId && this.#stream.term === term;
    if (this.#closing.signal.aborted || (isSame && !isLeader)) return;
    this.#cancelRetry();
    this.#stream?.end(new ClusterduckError("NOT_LEADER", "Another coordinator leads"));
    this.#stream = null;
    if (isLeader || leaderId === null) return;
    void this.#run({ ...leadership, leaderId });
  }

  /** Never rejects. */
  async #run({ leaderId, term }: Leadership & { readonly leaderId: string }): Promise<void> {
    const { clock, logger, peers } = this.#options;
    const stream = new ReportStream(this.#options, leaderId, term);
    this.#stream = stream;
    try {
      const answers = peers.to(leaderId).report(stream.requests(), { signal: stream.signal });
      for await (const { message } of answers) {
        if (message.case === "welcome") {
          this.#toldFailure = "";
          stream.welcomed();
        } else if (message.case === "heartbeat") {
          this.#roundTripMs = stream.answered(Number(message.value.sequence)) ?? this.#roundTripMs;
        }
      }
    } catch (thrown) {
      if (stream !== this.#stream) return;
      const message = messageOf(thrown);
      if (message !== this.#toldFailure)
        logger.warn("tier.report_failed", { leader: leaderId, term, message });
      this.#toldFailure = message;
    } finally {
      stream.end(new ClusterduckError("STOPPING", "The stream has ended"));
    }
    if (stream !== this.#stream || this.#closing.signal.aborted) return;
    this.#stream = null;
    this.#cancelRetry = clock.after(RETRY_MS, () => this.#follow());
  }
}

/** One stream to one leader of one term. */
class ReportStream {
  readonly leaderId: string;
  readonly term: number;
  readonly #options: ReporterOptions;
  readonly #controller = new AbortController();
  readonly #wakeup = new Wakeup();
  readonly #journal = new VoteJournal();
  readonly #waiting = new Map<NodeKey, NodeVote>();
  #isWelcomed = false;
  #isHeartbeatDue = false;
  #heartbeats = 0;
  #sentAtMs = 0;
  #cancelTimer: () => void = () => undefined;

  constructor(options: ReporterOptions, leaderId: string, term: number) {
    this.#options = options;
    this.leaderId = leaderId;
    this.term = term;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async *requests(): AsyncGenerator<Request> {
    const { self, state } = this.#options;
    const opening = { clusterId: state.clusterId, term: toUint64(this.term), member: encodeMember(self()) };
    yield { message: { case: "opening", value: opening } };
    while (!this.signal.aborted) {
      const request = this.#isWelcomed ? this.#next() : null;
      if (request === null) await this.#wakeup.wait(this.signal);
      else yield request;
    }
  }

  welcomed(): void {
    this.#isWelcomed = true;
    for (const node of this.#options.state.nodes.values()) this.offer(node);
    this.#beat();
  }

  /** Sends this coordinator's vote on a node, unless the leader has it. */
  offer({ cluster, addr }: NodeRef): void {
    const node = { cluster, addr };
    const vote = this.#isWelcomed ? this.#options.ownVote(node) : null;
    if (vote === null || !this.#journal.take({ node, vote }, this.#options.clock.monotonicMs())) return;
    this.#waiting.set(nodeKey(node), { node, vote });
    this.#wakeup.wake();
  }

  /** Milliseconds that a heartbeat and its answer took; null for an answer to an older one. */
  answered(sequence: number): number | null {
    return sequence === this.#heartbeats ? this.#options.clock.monotonicMs() - this.#sentAtMs : null;
  }

  end(error: ClusterduckError): void {
    this.#cancelTimer();
    if (!this.signal.aborted) this.#controller.abort(error);
  }

  #beat(): void {
    this.#isHeartbeatDue = true;
    this.#wakeup.wake();
    this.#cancelTimer = this.#options.clock.after(HEARTBEAT_MS, () => {
      this.#journal.forget((key) => !this.#options.state.nodes.has(key));
      this.#beat();
    });
  }

  #next(): Request | null {
    if (this.#isHeartbeatDue) {
      this.#isHeartbeatDue = false;
      this.#heartbeats++;
      this.#sentAtMs = this.#options.clock.monotonicMs();
      const sequence = toUint64(this.#heartbeats);
      const { trouble } = this.#options.log.status();
      const told = trouble === undefined ? {} : { trouble: encodeTrouble(trouble) };
      return { message: { case: "heartbeat", value: { sequence, ...told } } };
    }
    const votes: NodeVote[] = [];
    for (const [key, vote] of this.#waiting) {
      if (votes.length === VOTES_PER_MESSAGE) break;
      this.#waiting.delete(key);
      votes.push(vote);
    }
    if (votes.length === 0) return null;
    return { message: { case: "votes", value: { votes: votes.map(encodeVote) } } };
  }
}
