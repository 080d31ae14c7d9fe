import { closeSync, mkdirSync, openSync, readSync, fstatSync } from "node:fs";
import { join } from "node:path";
import { ClusterduckError, messageOf } from "../errors.js";

export type LogStream = "stdout" | "stderr";

/** Where a daemon's output goes: `duck-agent.stderr.log` in the log directory. */
export function logFilePath(logDir: string, program: string, stream: LogStream): string {
  return join(logDir, `${program}.${stream}.log`);
}

export type OpenLogs = {
  readonly stdout: number;
  readonly stderr: number;
  /** What was written to stderr since it was opened, the end of it. */
  readonly tail: (maxBytes: number) => string;
  readonly close: () => void;
};

/**
 * Opens both files for appending, so that several writers do not overwrite each other and a file that
 * logrotate truncates (`copytruncate`) is written from its start again.
 * @throws ClusterduckError DISK_FAILED
 */
export function openLogs(logDir: string, program: string): OpenLogs {
  const stderrPath = logFilePath(logDir, program, "stderr");
  try {
    mkdirSync(logDir, { recursive: true });
    const stdout = openSync(logFilePath(logDir, program, "stdout"), "a", 0o640);
    const stderr = openSync(stderrPath, "a", 0o640);
    const from = fstatSync(stderr).size;
    return {
      stdout,
      stderr,
      tail: (maxBytes) => readTail(stderrPath, from, maxBytes),
      close: () => {
        closeSync(stdout);
        closeSync(stderr);
      },
    };
  } catch (cause) {
    throw new ClusterduckError("DISK_FAILED", `Cannot open log files in "${logDir}": ${messageOf(cause)}`, {
      cause,
      hint: "choose a log_dir that this user may write to",
    });
  }
}

function readTail(path: string, from: number, maxBytes: number): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const start = Math.max(from, size - maxBytes);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    const length = readSync(file, buffer, 0, buffer.length, start);
    return buffer.toString("utf8", 0, length);
  } finally {
    closeSync(file);
  }
}
