import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import type { RawData } from "ws";
import type { Clock } from "../../common/clock.js";
import { dial } from "../http/dial.js";
import type { DialOptions } from "../http/dial.js";
import { ProtocolError } from "../http/http-errors.js";
import { advanceFlow, beginFlow, describeWait } from "./flow.js";
import type { Flow, FlowResult, FlowTurn } from "./flow.js";

/** How long the peer has to answer our close before the socket goes. */
const CLOSE_GRACE_MS = 1_000;

export type SessionOptions = DialOptions & {
  readonly headers: Readonly<Record<string, string>>;
  readonly subprotocols: readonly string[];
  readonly maxPayloadBytes: number;
  readonly clock: Clock;
  /** The server ended the session while no flow was played. */
  readonly onLost: (session: WebSocketSession) => void;
};

/** The server answered the handshake with an ordinary HTTP status. */
export class HandshakeRefused extends Error {
  override readonly name = "HandshakeRefused";
  readonly status: number;

  constructor(status: number) {
    super(`the handshake was answered with status ${status}, expected 101`);
    this.status = status;
  }
}

/** The server ended the session in the midst of a flow. */
export class SessionEnded extends Error {
  override readonly name = "SessionEnded";
  readonly hasAnswered: boolean;

  constructor(code: number, reason: string, hasAnswered: boolean) {
    super(
      `the server closed the session with code ${code}${reason === "" ? "" : ` ${JSON.stringify(reason)}`}`,
    );
    this.hasAnswered = hasAnswered;
  }
}

/** An open WebSocket to a node, on which a flow is played. */
export class WebSocketSession {
  readonly certificateEndMs: number | null;
  readonly #socket: WebSocket;
  readonly #options: SessionOptions;
  #playing: Playing | null = null;
  /** What came before the first flow began: a greeting belongs to it. null: begun. */
  #early: string[] | null = [];
  #error: Error | null = null;

  /**
   * Connects and shakes hands.
   * @throws the socket's error, HandshakeRefused, ProtocolError, or the signal's reason.
   */
  static async open(options: SessionOptions, signal: AbortSignal): Promise<WebSocketSession> {
    const { socket, certificateEndMs } = await dial(options, signal);
    const webSocket = new WebSocket(`ws://node${options.target.path}`, [...options.subprotocols], {
      createConnection: () => socket,
      headers: { ...options.headers },
      maxPayload: options.maxPayloadBytes,
      // A compressed bomb is not worth the saving.
      perMessageDeflate: false,
      followRedirects: false,
    });
    // Listens from the start: the first messages may come with the handshake's answer.
    const session = new WebSocketSession(webSocket, certificateEndMs, options);
    try {
      await shakeHands(webSocket, signal);
    } catch (thrown) {
      session.terminate();
      socket.destroy();
      throw thrown;
    }
    return session;
  }

  private constructor(socket: WebSocket, certificateEndMs: number | null, options: SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.certificateEndMs = certificateEndMs;
    // What comes between two flows answers nothing that was asked.
    socket.on("message", (data) => {
      if (this.#playing !== null) this.#playing.onMessage(textOf(data));
      else this.#early?.push(textOf(data));
    });
    socket.on("pong", () => this.#playing?.onPong());
    socket.on("error", (error) => (this.#error = error));
    socket.on("close", (code, reason) => this.#closed(code, reason.toString("utf8")));
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Plays a flow to its end. @throws SessionEnded, FlowTimedOut, or the socket's error. */
  async play(flow: Flow, signal: AbortSignal): Promise<FlowResult> {
    signal.throwIfAborted();
    const early = this.#early ?? [];
    this.#early = null;
    return new Promise<FlowResult>((resolve, reject) => {
      let isSettled = false;
      const settle = (act: () => void) => {
        isSettled = true;
        signal.removeEventListener("abort", onAbort);
        this.#playing = null;
        act();
      };
      const playing = new Playing(flow, this.#socket, (result) => settle(() => resolve(result)));
      playing.fail = (error) => settle(() => reject(error));
      const onAbort = () => {
        const detail = playing.describeWait();
        settle(() => reject(new FlowTimedOut(detail)));
        this.#socket.terminate();
      };
      signal.addEventListener("abort", onAbort);
      this.#playing = playing;
      playing.begin();
      for (const text of early) {
        if (!isSettled) playing.onMessage(text);
      }
      // It may have ended with what it had to say, or before.
      if (!isSettled && this.#error !== null) playing.fail(this.#error);
    });
  }

  /** Says goodbye, and cuts the line when the peer does not answer. */
  close(): void {
    this.#socket.close(1000);
    const cancel = this.#options.clock.after(CLOSE_GRACE_MS, () => this.#socket.terminate());
    this.#socket.once("close", cancel);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #closed(code: number, reason: string): void {
    const playing = this.#playing;
    this.#error ??= new SessionEnded(code, reason, playing?.hasHeard ?? false);
    if (playing === null) this.#options.onLost(this);
    else playing.fail(this.#error);
  }
}

/** Nothing that the flow waits for came in time. */
export class FlowTimedOut extends Error {
  override readonly name = "FlowTimedOut";
}

/** One flow on one socket. */
class Playing {
  readonly #flow: Flow;
  readonly #socket: WebSocket;
  readonly #done: (result: FlowResult) => void;
  #turn: FlowTurn;
  hasHeard = false;
  fail: (error: Error) => void = () => undefined;

  constructor(flow: Flow, socket: WebSocket, done: (result: FlowResult) => void) {
    this.#flow = flow;
    this.#socket = socket;
    this.#done = done;
    this.#turn = beginFlow(flow);
  }

  begin(): void {
    this.#act(this.#turn);
  }

  onMessage(text: string): void {
    this.hasHeard = true;
    this.#act(advanceFlow(this.#flow, this.#turn.state, { kind: "message", text }));
  }

  onPong(): void {
    this.hasHeard = true;
    this.#act(advanceFlow(this.#flow, this.#turn.state, { kind: "pong" }));
  }

  describeWait(): string {
    return describeWait(this.#flow, this.#turn.state);
  }

  #act(turn: FlowTurn): void {
    this.#turn = turn;
    for (const effect of turn.effects) {
      // A send that fails shows as the socket's close.
      if (effect.kind === "send") this.#socket.send(effect.text, () => undefined);
      else this.#socket.ping(undefined, undefined, () => undefined);
    }
    if (turn.result !== null) this.#done(turn.result);
  }
}

function shakeHands(socket: WebSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null) => {
      signal.removeEventListener("abort", onAbort);
      socket.off("open", onOpen).off("error", onError).off("unexpected-response", onResponse);
      if (error === null) resolve();
      else reject(error);
    };
    const onOpen = () => settle(null);
    const onAbort = () => settle(new FlowTimedOut("no answer to the handshake"));
    // Errors of sockets and parsers have codes; those of the handshake itself do not.
    const onError = (error: Error) => settle("code" in error ? error : new ProtocolError(error.message));
    const onResponse = (_request: unknown, response: IncomingMessage) => {
      settle(new HandshakeRefused(response.statusCode ?? 0));
    };
    signal.addEventListener("abort", onAbort);
    socket.on("open", onOpen).on("error", onError).on("unexpected-response", onResponse);
  });
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return (data instanceof ArrayBuffer ? Buffer.from(data) : data).toString("utf8");
}
