import type { OnReadOpts } from "node:net";

/**
 * Where plain sockets read to. The event loop reads from one socket at a time and hands over what it read
 * before it reads again, so one buffer serves thousands of connections; Node's own way sets 64 KiB aside for
 * every read, which a check of a few bytes pays for in collected garbage.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** For `onread` of `net.connect`. What `onBytes` is given is overwritten afterwards: it keeps a copy or nothing. */
export function sharedReads(onBytes: (bytes: Buffer) => void): OnReadOpts {
  return {
    buffer: READ_BUFFER,
    callback: (length) => {
      onBytes(READ_BUFFER.subarray(0, length));
      return true;
    },
  };
}
