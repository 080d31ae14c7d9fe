import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { CallContext } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
import { fromUint64, invalid } from "../../common/wire/values.js";
import type {
  ReportOpening,
  ReportRequest,
  ReportResponseSchema,
} from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { PeerVotes } from "../decision-loop.js";
import type { MemberTrouble, ReplicatedLog } from "../log/replicated-log.js";
import type { StateView } from "../state/model.js";
import { decodeMember } from "./identity.js";
import type { LivingMember } from "./identity.js";
import { decodeTrouble } from "./member-trouble.js";
import { assertSpeaksForItself } from "./peer-name.js";
import { decodeVote } from "./vote-wire.js";

export type ReportDeskOptions = {
  readonly id: string;
  readonly log: Pick<ReplicatedLog, "leadership" | "status">;
  readonly state: Pick<StateView, "clusterId" | "members">;
  readonly votes: PeerVotes;
  /** Commits what a member tells of itself. @throws ClusterduckError CONFLICT when it may not be one. */
  readonly admit: (member: LivingMember) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
};

type Response = MessageInitShape<typeof ReportResponseSchema>;

/** Where a member's stream is, or was. Monotonic milliseconds. */
export type Presence = {
  readonly bootId: string;
  readonly isConnected: boolean;
  readonly sinceMs: number;
};

/** What was told this long ago may be over: several heartbeats. Milliseconds. */
const STALE_MS = 5_000;

/** The leader's end of the other coordinators' reports. */
export class ReportDesk {
  readonly #options: ReportDeskOptions;
  readonly #presence = new Map<string, Presence>();
  /** The newest stream of each member: the one before it ends at its next message. */
  readonly #streams = new Map<string, symbol>();

  /** What each of them last said to be wrong with it. */
  readonly #troubles = new Map<string, { readonly trouble: MemberTrouble; readonly atMs: number }>();

  constructor(options: ReportDeskOptions) {
    this.#options = options;
  }

  /** What a member says to be wrong with it, while it reports; null: nothing, or it does not report. */
  troubleOf(id: string): MemberTrouble | null {
    const told = this.#troubles.get(id);
    const isFresh = told !== undefined && this.#options.clock.monotonicMs() - told.atMs < STALE_MS;
    return isFresh ? told.trouble : null;
  }

  /** Undefined: not seen since this coordinator's start. */
  presenceOf(id: string): Presence | undefined {
    return this.#presence.get(id);
  }

  async *serve(requests: AsyncIterable<ReportRequest>, context: CallContext): AsyncGenerator<Response> {
    const { votes, logger } = this.#options;
    let session: { readonly member: LivingMember; readonly stream: symbol; readonly term: number } | null =
      null;
    try {
      for await (const { message } of requests) {
        if (session === null) {
          if (message.case !== "opening") {
            throw invalid(`the first message is ${message.case ?? "empty"}, expected opening`);
          }
          session = await this.#open(message.value, context);
          yield { message: { case: "welcome", value: { term: BigInt(session.term) } } };
          continue;
        }
        this.#assertCurrent(session);
        const { id } = session.member;
        if (message.case === "votes") {
          for (const wire of message.value.votes) {
            const { node, vote } = decodeVote(wire, id);
            votes.vote(node, vote);
          }
        } else if (message.case === "heartbeat") {
          votes.heard(id);
          this.#hear(id, decodeTrouble(message.value.trouble));
          yield { message: { case: "heartbeat", value: { sequence: message.value.sequence } } };
        }
      }
    } finally {
      if (session !== null && this.#streams.get(session.member.id) === session.stream) {
        const { id, bootId } = session.member;
        this.#streams.delete(id);
        this.#troubles.delete(id);
        this.#presence.set(id, { bootId, isConnected: false, sinceMs: this.#options.clock.monotonicMs() });
        votes.forget(id);
        logger.info("tier.member_gone", { coordinator: id });
      }
    }
  }

  #hear(id: string, trouble: MemberTrouble | null): void {
    if (trouble === null) this.#troubles.delete(id);
    else this.#troubles.set(id, { trouble, atMs: this.#options.clock.monotonicMs() });
  }

  /** @throws ClusterduckError when this member may not report, or not here. */
  async #open(
    opening: ReportOpening,
    context: CallContext,
  ): Promise<{ member: LivingMember; stream: symbol; term: number }> {
    const { id, log, state, votes, clock, logger, admit } = this.#options;
    const member = decodeMember(opening.member);
    assertSpeaksForItself(member.id, context.identity);
    const term = fromUint64(opening.term, "a term");
    if (opening.clusterId !== "" && opening.clusterId !== state.clusterId) {
      throw new ClusterduckError(
        "CONFLICT",
        `Coordinator "${id}" belongs to cluster ${state.clusterId}, "${member.id}" to ${opening.clusterId}`,
      );
    }
    assertLeads(this.#options, term);
    if (!log.status().peers.some((peer) => peer.id === member.id)) {
      const removedAtMs = state.members.get(member.id)?.removedAtMs ?? null;
      const why = removedAtMs === null ? "" : `: it was removed at ${new Date(removedAtMs).toISOString()}`;
      throw new ClusterduckError("CONFLICT", `Coordinator "${member.id}" is no member of this tier${why}`, {
        hint: "Stop it, remove its data directory, give it another id and let it join",
      });
    }
    await admit(member);
    assertLeads(this.#options, term);
    const stream = Symbol(member.id);
    this.#streams.set(member.id, stream);
    this.#presence.set(member.id, {
      bootId: member.bootId,
      isConnected: true,
      sinceMs: clock.monotonicMs(),
    });
    // Whatever an earlier stream said no longer counts: it is all said again on this one.
    votes.forget(member.id);
    logger.info("tier.member_reports", { coordinator: member.id, version: member.version, term });
    return { member, stream, term };
  }

  #assertCurrent(session: {
    readonly member: LivingMember;
    readonly stream: symbol;
    readonly term: number;
  }): void {
    assertLeads(this.#options, session.term);
    if (this.#streams.get(session.member.id) === session.stream) return;
    throw new ClusterduckError("CONFLICT", `Coordinator "${session.member.id}" has opened a newer stream`);
  }
}

function assertLeads({ id, log }: Pick<ReportDeskOptions, "id" | "log">, term: number): void {
  const now = log.leadership();
  if (now.isLeader && now.term === term) return;
  const who = now.leaderId === null ? "nobody" : now.leaderId === id ? "this one" : `"${now.leaderId}"`;
  throw new ClusterduckError(
    "NOT_LEADER",
    `Coordinator "${id}" does not lead term ${term}: in term ${now.term} the leader is ${who}`,
  );
}
