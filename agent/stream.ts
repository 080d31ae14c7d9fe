import type { MessageInitShape } from "@bufbuild/protobuf";
import { AgentService } from "../proto/gen/clusterduck/v1/agent_pb.js";
import type {
  Assignment,
  ConnectRequestSchema,
  ConnectResponse,
  Welcome,
} from "../proto/gen/clusterduck/v1/agent_pb.js";
import type { ScheduledNode, SelfDoubt } from "../checks/schedule.js";
import type { Clock } from "../common/clock.js";
import { ClusterduckError, messageOf } from "../common/errors.js";
import { createGrpcClient } from "../common/grpc/client.js";
import type { Logger } from "../common/logger.js";
import type { ApplyOutcome, Bundle } from "../common/model/delivery.js";
import type { ObservationReport } from "../common/model/observation.js";
import type { Random } from "../common/random.js";
import type { TlsSource } from "../common/tls/source.js";
import { decodeNode } from "../common/wire/assignment.js";
import { decodeBundle } from "../common/wire/bundle.js";
import { fromDuration, fromUint64, toUint64 } from "../common/wire/values.js";
import type { HeldAssignment } from "./assignments.js";
import { NO_ASSIGNMENT, applyAssignment } from "./assignments.js";
import { RECONNECT, REFUSED, backoffMs } from "./backoff.js";
import type { Introduction } from "./identity.js";
import { ObservationBuffer } from "./observation-buffer.js";
import { StreamSession } from "./stream-session.js";

export type Request = MessageInitShape<typeof ConnectRequestSchema>;

/** Opens the stream to one coordinator; a test may bring its own. */
export type Connect = (
  address: string,
  requests: AsyncIterable<Request>,
  signal: AbortSignal,
) => AsyncIterable<ConnectResponse>;

/**
 * One connection per attempt: when the stream ends, nothing of it stays behind, and the next attempt shows the
 * certificate that is the newest then. Null: without TLS.
 */
export function connectGrpc(tls: TlsSource | null): Connect {
  return async function* (address, requests, signal) {
    const client = createGrpcClient(AgentService, address, { messageBytesMax: RESPONSE_BYTES_MAX, tls });
    try {
      yield* client.call.connect(requests, { signal });
    } finally {
      client.close();
    }
  };
}
/** An assignment of 10,000 nodes has about 5 MB. */
const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;

export type StreamHandlers = {
  /** Who this agent is now; the stream adds what concerns it alone. */
  readonly hello: () => Introduction;
  /** @throws ClusterduckError when this coordinator is not one of ours. */
  readonly onWelcome: (address: string, welcome: Welcome) => void;
  /** A coordinator tells who else there is now. */
  readonly onMembers: (address: string, told: Pick<Welcome, "coordinatorId" | "members">) => void;
  /** The work, or whether this coordinator is there, has changed. */
  readonly onAssignment: () => void;
  readonly onProbe: (node: ScheduledNode, durationMs: number) => void;
  readonly onBundle: (bundle: Bundle) => void;
  readonly latest: () => readonly ObservationReport[];
  readonly heartbeat: () => {
    readonly selfDoubt: SelfDoubt;
    readonly checks: number;
    readonly latenessP99Ms: number;
  };
};

export type StreamOptions = {
  readonly address: string;
  readonly connect: Connect;
  readonly handlers: StreamHandlers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly buffer?: ObservationBuffer;
};

/** For `duck-agent status`. */
export type StreamStatus = {
  readonly address: string;
  readonly coordinator: string;
  readonly state: "connected" | "connecting" | "refused";
  readonly error: string;
  readonly assignmentRevision: number;
  readonly nodes: number;
  readonly buffered: number;
  readonly dropped: number;
};

/** Sessions shorter than this count as failures: a coordinator that accepts and drops us must not be hammered. */
const STABLE_AFTER_MS = 5_000;

type Ended = { readonly error: ClusterduckError; readonly wasWelcomed: boolean };

/** The stream to one coordinator, for ever: what is not acknowledged survives every reconnect. */
export class CoordinatorStream {
  readonly #options: StreamOptions;
  readonly #buffer: ObservationBuffer;
  #session: StreamSession | null = null;
  #coordinatorId = "";
  #error = "";
  #isRefused = false;
  /** Outcomes that the stream before this one was to send. */
  #unsent: readonly ApplyOutcome[] = [];
  /** Ends the wait for the next attempt, or for the end of the stream that another one takes over. */
  #again = new AbortController();
  held: HeldAssignment = NO_ASSIGNMENT;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#buffer = options.buffer ?? new ObservationBuffer();
  }

  /** Welcomed, and told what to check. */
  get isConnected(): boolean {
    return this.#session?.isWelcomed === true;
  }

  report(reports: readonly ObservationReport[], isUrgent: boolean): void {
    this.#buffer.add(reports);
    this.#session?.observationsWait(isUrgent);
  }

  /** Empty before the first welcome. */
  get coordinatorId(): string {
    return this.#coordinatorId;
  }

  /**
   * Says hello anew, because what it says has changed: on a second stream that takes over from the first, so
   * that nobody takes the agent for lost in between.
   */
  introduceAgain(): void {
    this.#again.abort();
  }

  applied(outcome: ApplyOutcome): void {
    this.#session?.applied(outcome);
  }

  status(): StreamStatus {
    return {
      address: this.#options.address,
      coordinator: this.#coordinatorId,
      state: this.isConnected ? "connected" : this.#isRefused ? "refused" : "connecting",
      error: this.#error,
      assignmentRevision: this.held.revision,
      nodes: this.held.nodes.size,
      buffered: this.#buffer.size,
      dropped: this.#buffer.dropped,
    };
  }

  /** Connects, and again after every end, until `signal` aborts. Never throws for what the coordinator does. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      this.#again = new AbortController();
      const ended = await this.#runOnce(signal, this.#again.signal);
      if (signal.aborted) return;
      if (ended === null) continue;
      const lastedMs = clock.monotonicMs() - startedMs;
      failures = ended.wasWelcomed && lastedMs >= STABLE_AFTER_MS ? 1 : failures + 1;
      this.#isRefused = isRefusal(ended.error);
      const waiting = AbortSignal.any([signal, this.#again.signal]);
      await clock.sleep(backoffMs(this.#isRefused ? REFUSED : RECONNECT, failures, random), waiting);
    }
  }

  /** Null: another stream is to take over. */
  async #runOnce(signal: AbortSignal, again: AbortSignal): Promise<Ended | null> {
    const { handlers, clock } = this.#options;
    this.#buffer.rewind();
    const session = new StreamSession({
      hello: {
        ...handlers.hello(),
        assignmentRevision: toUint64(this.held.revision),
        firstSequence: toUint64(this.#buffer.firstSequence),
      },
      buffer: this.#buffer,
      heartbeat: handlers.heartbeat,
      clock,
      signal,
    });
    this.#session = session;
    for (const outcome of this.#unsent) session.applied(outcome);
    this.#unsent = [];
    const reading = this.#read(session, signal);
    const ended = await Promise.race([reading, aborted(again)]);
    if (ended === null) this.#unsent = session.supersede();
    return ended;
  }

  /** Never rejects. */
  async #read(session: StreamSession, signal: AbortSignal): Promise<Ended> {
    const { address, connect, handlers, logger } = this.#options;
    try {
      for await (const response of connect(address, session.requests(), session.signal)) {
        session.heard();
        // Of a stream that another one takes over only the end is awaited.
        if (session === this.#session) this.#take(session, response);
      }
      throw new ClusterduckError("UNREACHABLE", `Coordinator at ${address} ended the stream`);
    } catch (thrown) {
      const error = this.#endedBy(session, thrown);
      const wasWelcomed = session.isWelcomed;
      if (session !== this.#session) return { error, wasWelcomed };
      // The same trouble again and again is one event.
      if (!signal.aborted && (wasWelcomed || this.#error !== error.message)) {
        logger.warn("stream.ended", { coordinator: address, wasWelcomed, error });
      }
      this.#error = error.message;
      return { error, wasWelcomed };
    } finally {
      session.end();
      if (session === this.#session) {
        this.#session = null;
        handlers.onAssignment();
      }
    }
  }

  #take(session: StreamSession, { message }: ConnectResponse): void {
    const { handlers, address, logger } = this.#options;
    switch (message.case) {
      case "welcome": {
        handlers.onWelcome(address, message.value);
        const intervalMs = fromDuration(message.value.heartbeatIntervalMs, "the heartbeat interval");
        this.#coordinatorId = message.value.coordinatorId;
        this.#error = "";
        session.welcomed(intervalMs);
        logger.info("stream.connected", { coordinator: address, id: message.value.coordinatorId });
        return;
      }
      case "members":
        handlers.onMembers(address, { coordinatorId: this.#coordinatorId, members: message.value.members });
        return;
      case "acknowledgement":
        session.acknowledged(
          fromUint64(message.value.sequence, "the acknowledged sequence number"),
          handlers.latest,
        );
        return;
      case "assignment":
        this.#assign(message.value);
        return;
      case "probe":
        handlers.onProbe(
          decodeNode(message.value.node),
          fromDuration(message.value.durationMs, "a probe's duration"),
        );
        return;
      case "apply":
        handlers.onBundle(decodeBundle(message.value));
        return;
      default:
        // A newer coordinator may have more to say than we understand.
        return;
    }
  }

  #assign(assignment: Assignment): void {
    const held = applyAssignment(this.held, assignment);
    if (held === null) {
      const problem = `An assignment from ${this.#options.address} is a difference to revision ${assignment.baseRevision}, not ${this.held.revision}`;
      // The next hello says "none", and is answered with all of it.
      this.held = NO_ASSIGNMENT;
      throw new ClusterduckError("UNREACHABLE", problem);
    }
    this.held = held;
    this.#options.handlers.onAssignment();
  }

  #endedBy(session: StreamSession, thrown: unknown): ClusterduckError {
    if (session.endedBy !== null) return session.endedBy;
    if (thrown instanceof ClusterduckError) return thrown;
    const { address, logger } = this.#options;
    logger.error("stream.failed", { coordinator: address, error: thrown });
    return new ClusterduckError("UNREACHABLE", `Stream to ${address} failed: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}

/** Whether trying again soon can help. */
function isRefusal(error: ClusterduckError): boolean {
  switch (error.code) {
    case "VERSION_UNSUPPORTED":
    case "INVALID_ARGUMENT":
    case "CONFLICT":
    case "UNAUTHENTICATED":
    case "PERMISSION_DENIED":
      return true;
    default:
      return false;
  }
}
