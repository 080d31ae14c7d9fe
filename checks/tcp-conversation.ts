import type { Socket } from "node:net";
import type { TcpAnswer, TcpOptions, TcpPayload } from "../common/config/checks/tcp.js";

/** One step of a conversation, ready to use. */
export type TcpStep =
  | { readonly kind: "send"; readonly bytes: Buffer }
  | {
      readonly kind: "expect";
      readonly text: string;
      /** Where the match ends in what was received; -1: it is not there (yet). */
      readonly find: (received: Buffer) => number;
    };

export type ConversationEnd =
  | { readonly kind: "done" }
  | { readonly kind: "mismatch"; readonly detail: string }
  | { readonly kind: "closed"; readonly detail: string }
  | { readonly kind: "error"; readonly error: Error };

/** An answer is looked for in this much, and no more is kept. */
const MAX_RECEIVED_BYTES = 64 * 1024;
const SHOWN_CHARACTERS = 120;
const ESCAPES: Readonly<Record<string, string>> = { r: "\r", n: "\n", t: "\t", "0": "\0", "\\": "\\" };

/** The conversation that the options describe; empty: only connect. */
export function stepsOf(options: TcpOptions): readonly TcpStep[] {
  if (options.flow !== undefined) {
    return options.flow.map((step) => ("send" in step ? sendStep(step.send) : expectStep(step.expect)));
  }
  return [
    ...(options.send === undefined ? [] : [sendStep(options.send)]),
    ...(options.expect === undefined ? [] : [expectStep(options.expect)]),
  ];
}

/** Text of the configuration as bytes: UTF-8, and its escapes as the single bytes they name. */
export function unescape(text: string): Buffer {
  const parts = text.split(/(\\x[0-9A-Fa-f]{2}|\\[rnt0\\])/);
  return Buffer.concat(
    parts.map((part, index) => {
      if (index % 2 === 0) return Buffer.from(part);
      if (part.startsWith("\\x")) return Buffer.from(part.slice(2), "hex");
      return Buffer.from(ESCAPES[part.slice(1)] ?? part);
    }),
  );
}

/**
 * Talks on a connected socket until the last step is done. Never rejects; the caller ends the socket, which
 * ends the conversation as "closed".
 */
export function converse(socket: Socket, steps: readonly TcpStep[]): Promise<ConversationEnd> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    let next = 0;
    const finish = (end: ConversationEnd): void => {
      socket.off("data", onData).off("error", onError).off("close", onClose);
      resolve(end);
    };
    const waitingFor = (): string => {
      const step = steps[next];
      return step?.kind === "expect" ? `expected ${step.text}, received ${show(received)}` : "";
    };
    const advance = (): void => {
      for (let step = steps[next]; step !== undefined; step = steps[++next]) {
        if (step.kind === "send") {
          socket.write(step.bytes);
          continue;
        }
        const end = step.find(received);
        if (end === -1) {
          if (received.length >= MAX_RECEIVED_BYTES) finish({ kind: "mismatch", detail: waitingFor() });
          return;
        }
        received = received.subarray(end);
      }
      finish({ kind: "done" });
    };
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]).subarray(0, MAX_RECEIVED_BYTES);
      advance();
    };
    const onError = (error: Error): void => finish({ kind: "error", error });
    const onClose = (): void => {
      // A service that answered otherwise and hung up did answer.
      const hasAnswered = received.length > 0;
      const detail = waitingFor() || "the service closed the connection";
      finish({ kind: hasAnswered ? "mismatch" : "closed", detail });
    };
    socket.on("data", onData).on("error", onError).on("close", onClose);
    advance();
  });
}

function sendStep(payload: TcpPayload): TcpStep {
  return { kind: "send", bytes: typeof payload === "string" ? unescape(payload) : fromHex(payload.hex) };
}

function expectStep(answer: TcpAnswer): TcpStep {
  if (typeof answer === "object" && "regex" in answer) {
    const pattern = new RegExp(answer.regex);
    return { kind: "expect", text: `/${answer.regex}/`, find: (received) => findPattern(received, pattern) };
  }
  const bytes = typeof answer === "string" ? unescape(answer) : fromHex(answer.hex);
  const text = typeof answer === "string" ? show(bytes) : `the bytes ${answer.hex}`;
  return { kind: "expect", text, find: (received) => findBytes(received, bytes) };
}

function findBytes(received: Buffer, wanted: Buffer): number {
  const at = received.indexOf(wanted);
  return at === -1 ? -1 : at + wanted.length;
}

function findPattern(received: Buffer, pattern: RegExp): number {
  const text = received.toString("utf8");
  const match = pattern.exec(text);
  if (match === null) return -1;
  return Math.min(received.length, Buffer.byteLength(text.slice(0, match.index + match[0].length)));
}

function fromHex(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/[ :]/g, ""), "hex");
}

function show(bytes: Buffer): string {
  if (bytes.length === 0) return "nothing";
  const text = JSON.stringify(bytes.subarray(0, SHOWN_CHARACTERS).toString("utf8"));
  return bytes.length > SHOWN_CHARACTERS ? `${text}…` : text;
}
