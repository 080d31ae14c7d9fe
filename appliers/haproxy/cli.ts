import { connect } from "node:net";

import { ClusterduckError } from "../../common/errors.js";

const TIMEOUT_MS = 5_000;
/** HAProxy reads a command line into one buffer (16 kB by default). */
const LINE_BYTES = 8_000;

/** Commands to the running worker, over its stats socket or through its master. */
export interface RuntimeChannel {
  /**
   * Runs commands in order; resolves with all they said.
   * @throws ClusterduckError UNREACHABLE or TIMED_OUT.
   */
  run(commands: readonly string[]): Promise<string>;
}

export function statsChannel(socketPath: string): RuntimeChannel {
  return { run: (commands) => runBatches(socketPath, commands) };
}

/** `@1` is the newest worker; the master takes it per command. */
export function masterChannel(socketPath: string): RuntimeChannel {
  return {
    run: (commands) =>
      runBatches(
        socketPath,
        commands.map((command) => `@1 ${command}`),
      ),
  };
}

async function runBatches(socketPath: string, commands: readonly string[]): Promise<string> {
  const answers: string[] = [];
  for (const line of batches(commands)) answers.push(await ask(socketPath, line));
  return answers.join("");
}

function* batches(commands: readonly string[]): Iterable<string> {
  let line = "";
  for (const command of commands) {
    if (line !== "" && line.length + command.length > LINE_BYTES) {
      yield line;
      line = "";
    }
    line += line === "" ? command : `;${command}`;
  }
  if (line !== "") yield line;
}

/**
 * Sends one line to a HAProxy socket and resolves with everything up to its close.
 * @throws ClusterduckError UNREACHABLE, with the system's error as cause, or TIMED_OUT.
 */
export function ask(socketPath: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(socketPath);
    socket.setTimeout(TIMEOUT_MS, () => {
      const message = `HAProxy socket "${socketPath}" did not answer within ${TIMEOUT_MS / 1_000} s`;
      socket.destroy(new ClusterduckError("TIMED_OUT", message));
    });
    socket.on("connect", () => socket.end(`${line}\n`));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", (error) => {
      if (error instanceof ClusterduckError) reject(error);
      else {
        const message = `Cannot reach HAProxy socket "${socketPath}": ${error.message}`;
        reject(new ClusterduckError("UNREACHABLE", message, { cause: error }));
      }
    });
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("utf8")));
  });
}
