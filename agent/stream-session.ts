import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HelloSchema } from "../proto/gen/clusterduck/v1/agent_pb.js";
import type { Clock } from "../common/clock.js";
import { ClusterduckError } from "../common/errors.js";
import type { ApplyOutcome } from "../common/model/delivery.js";
import type { ObservationReport } from "../common/model/observation.js";
import { Wakeup } from "../common/wakeup.js";
import { encodeOutcome } from "../common/wire/bundle.js";
import { toUint32, toUint64 } from "../common/wire/values.js";
import { BatchEncoder } from "./batch-encoder.js";
import type { Batch, ObservationBuffer } from "./observation-buffer.js";
import type { Request, StreamHandlers } from "./stream.js";

/** How long news that changes nothing may wait for company: it halves the messages that a coordinator reads. */
const COLLECT_MS = 200;
/** Longer than a coordinator lets agents wait for admission. */
const WELCOME_TIMEOUT_MS = 30_000;
/** Heartbeats without a word from the coordinator before it counts as gone; at least so many milliseconds. */
const HEARTBEATS_MISSED = 3;
const SILENCE_MIN_MS = 3_000;
/** How long a stopping agent lets the coordinator end the stream. */
const STOP_GRACE_MS = 500;
/** How long a stream that another one takes over is kept open: its end would look like the agent's. */
const TAKE_OVER_MS = 10_000;

export type SessionOptions = {
  readonly hello: MessageInitShape<typeof HelloSchema>;
  readonly buffer: ObservationBuffer;
  readonly heartbeat: StreamHandlers["heartbeat"];
  readonly clock: Clock;
  /** The agent stops. */
  readonly signal: AbortSignal;
};

/**
 * One attempt at one stream: what goes out, in which order, and whether the coordinator still lives. A
 * message is made when the last one has left, so a slow coordinator meets newer states, not a longer queue.
 */
export class StreamSession {
  readonly #options: SessionOptions;
  readonly #controller = new AbortController();
  readonly #wakeup = new Wakeup();
  /** Key: balancer. */
  readonly #outcomes = new Map<string, ApplyOutcome>();
  readonly #encoder = new BatchEncoder();
  /** Cuts the stream. */
  readonly signal: AbortSignal;
  /** Ends the sending: the stream is cut, or the agent stops. */
  readonly #sendingEnds: AbortSignal;
  isWelcomed = false;
  endedBy: ClusterduckError | null = null;
  #isReady = false;
  #isHeartbeatDue = false;
  #heartbeats = 0;
  #lastHeardMs: number;
  #cancelTimer: () => void;
  #cancelFlush: (() => void) | null = null;

  constructor(options: SessionOptions) {
    const { clock } = options;
    this.#options = options;
    this.signal = this.#controller.signal;
    this.#sendingEnds = AbortSignal.any([this.signal, options.signal]);
    options.signal.addEventListener("abort", this.#onStop, { once: true });
    this.#lastHeardMs = clock.monotonicMs();
    this.#cancelTimer = clock.after(WELCOME_TIMEOUT_MS, () =>
      this.#fail(`No welcome from the coordinator within ${WELCOME_TIMEOUT_MS} ms`),
    );
  }

  /** What the stream sends: the hello, then, once the coordinator has said how far it is, all the rest. */
  async *requests(): AsyncGenerator<Request> {
    yield { message: { case: "hello", value: this.#options.hello } };
    while (!this.#sendingEnds.aborted) {
      const request = this.#isReady ? this.#next() : null;
      if (request === null) await this.#wakeup.wait(this.#sendingEnds);
      else yield request;
    }
  }

  heard(): void {
    this.#lastHeardMs = this.#options.clock.monotonicMs();
  }

  welcomed(heartbeatIntervalMs: number): void {
    this.isWelcomed = true;
    this.#cancelTimer();
    this.#beat(Math.max(10, heartbeatIntervalMs));
  }

  /** The first one of a stream says what the coordinator still knows of this boot; 0: nothing. */
  acknowledged(sequence: number, latest: () => readonly ObservationReport[]): void {
    const { buffer } = this.#options;
    const isForgotten = !this.#isReady && (sequence === 0 || sequence < buffer.firstSequence - 1);
    buffer.acknowledge(sequence);
    if (isForgotten) buffer.addSnapshot(latest());
    this.#isReady = true;
    this.#wakeup.wake();
  }

  observationsWait(isUrgent: boolean): void {
    if (isUrgent) this.#flush();
    else this.#cancelFlush ??= this.#options.clock.after(COLLECT_MS, () => this.#flush());
  }

  applied(outcome: ApplyOutcome): void {
    this.#outcomes.set(outcome.balancer, outcome);
    this.#wakeup.wake();
  }

  /**
   * Another stream takes over: nothing more is sent on this one, and the coordinator ends it when the other is
   * there. Returns the outcomes that have not been sent.
   */
  supersede(): readonly ApplyOutcome[] {
    this.#isReady = false;
    this.#cancelFlush?.();
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(TAKE_OVER_MS, () => this.#controller.abort());
    return [...this.#outcomes.values()];
  }

  end(): void {
    this.#options.signal.removeEventListener("abort", this.#onStop);
    this.#cancelTimer();
    this.#cancelFlush?.();
    this.#controller.abort();
  }

  /** The end of our messages tells the coordinator that we stop and did not break; it answers by ending the stream. */
  readonly #onStop = (): void => {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.clock.after(STOP_GRACE_MS, () => this.#controller.abort());
  };

  #flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    this.#wakeup.wake();
  }

  #fail(problem: string): void {
    this.endedBy = new ClusterduckError("TIMED_OUT", problem);
    this.#controller.abort(this.endedBy);
  }

  /** Sends heartbeats and listens for the coordinator's receipts, which are its own. */
  #beat(intervalMs: number): void {
    const { clock } = this.#options;
    const dueMs = clock.monotonicMs() + intervalMs;
    this.#isHeartbeatDue = true;
    this.#wakeup.wake();
    this.#cancelTimer = clock.after(intervalMs, () => {
      const nowMs = clock.monotonicMs();
      // This process stood still: what the coordinator sent meanwhile has not been read yet.
      if (nowMs - dueMs > intervalMs) this.heard();
      const silentMs = nowMs - this.#lastHeardMs;
      if (silentMs > Math.max(SILENCE_MIN_MS, HEARTBEATS_MISSED * intervalMs)) {
        this.#fail(`The coordinator has been silent for ${Math.round(silentMs)} ms`);
      } else {
        this.#beat(intervalMs);
      }
    });
  }

  #next(): Request | null {
    for (const [balancer, outcome] of this.#outcomes) {
      this.#outcomes.delete(balancer);
      return { message: { case: "applied", value: encodeOutcome(outcome) } };
    }
    if (this.#isHeartbeatDue) {
      this.#isHeartbeatDue = false;
      return this.#heartbeat();
    }
    const batch = this.#options.buffer.next();
    return batch === null ? null : this.#observations(batch);
  }

  #heartbeat(): Request {
    const { selfDoubt, checks, latenessP99Ms } = this.#options.heartbeat();
    this.#heartbeats += 1;
    return {
      message: {
        case: "heartbeat",
        value: {
          sequence: toUint64(this.#heartbeats),
          selfDoubt: selfDoubt.level,
          selfDoubtCause: selfDoubt.cause,
          loopDelayP99Ms: selfDoubt.loopDelayP99Ms,
          cpuPressure: selfDoubt.cpuPressure,
          checks: toUint32(checks),
          checkLatenessP99Ms: latenessP99Ms,
        },
      },
    };
  }

  /** Encoded now, so that ages are those of the moment of sending. */
  #observations(batch: Batch): Request {
    const { clock, buffer } = this.#options;
    const value = this.#encoder.encode(batch, buffer.dropped, clock.monotonicMs());
    return { message: { case: "observations", value } };
  }
}
