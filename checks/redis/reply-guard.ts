import { ConnectionError } from "./connection-error.js";

/** Replies to one run's commands may hold this much; INFO of a large server has about 10 KiB. */
export const MAX_REPLY_BYTES = 1024 * 1024;
/** An array header of more digits is refused: the parser would set aside memory for all its elements. */
const MAX_ARRAY_DIGITS = 6;
const ASTERISK = 0x2a;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

export type ReplyGuard = {
  readonly onData: (chunk: Buffer) => void;
  /** A new run begins: count from zero. */
  readonly reset: () => void;
};

/**
 * Watches what a connection receives before ioredis parses it: a service that sends without end, or
 * announces an array of a billion elements, must not cost this process its memory.
 */
export function guardReplies(onExcess: (error: ConnectionError) => void): ReplyGuard {
  let receivedBytes = 0;
  /** Digits of an array header that the last chunk ended in; -1: it did not. */
  let openDigits = -1;

  const refuse = (chunk: Buffer, error: ConnectionError): void => {
    // The parser still gets this chunk: zeros are either refused by it or plain text.
    chunk.fill(0);
    onExcess(error);
  };
  return {
    reset: () => {
      receivedBytes = 0;
    },
    onData: (chunk) => {
      receivedBytes += chunk.length;
      if (receivedBytes > MAX_REPLY_BYTES) {
        refuse(chunk, new ConnectionError("tooLarge", `the reply is larger than ${MAX_REPLY_BYTES} bytes`));
        return;
      }
      const { longest, open } = arrayDigits(chunk, openDigits);
      openDigits = open;
      if (longest > MAX_ARRAY_DIGITS) {
        refuse(
          chunk,
          new ConnectionError("protocol", "the reply announces an array of over a million elements"),
        );
      }
    },
  };
}

/** The most digits after any `*`, and how many the chunk ends in. `open` continues the chunk before. */
function arrayDigits(chunk: Buffer, open: number): { longest: number; open: number } {
  let longest = -1;
  let at = open >= 0 ? -1 : chunk.indexOf(ASTERISK);
  let digits = Math.max(open, 0);
  if (open < 0 && at === -1) return { longest, open: -1 };
  for (;;) {
    let end = at + 1;
    while (end < chunk.length && isDigit(chunk[end])) end++;
    digits += end - at - 1;
    longest = Math.max(longest, digits);
    if (end === chunk.length) return { longest, open: digits };
    at = chunk.indexOf(ASTERISK, end);
    if (at === -1) return { longest, open: -1 };
    digits = 0;
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= DIGIT_0 && byte <= DIGIT_9;
}
