import pino from "pino";
import { formatLogLine } from "./log-line.js";
import { messageOf } from "./errors.js";
import { debugSelector } from "./debug-names.js";

/**
 * One event, one line, when something changes. `event` is a stable name (`node.state_changed`), what
 * varies goes into `fields`, with units in their names.
 * `error`: someone must act; `warn`: it may become an error; `info`: a change; `debug`: detail.
 */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** Whether `debug` writes: ask before computing costly fields. */
  isDebugEnabled(): boolean;
  /** A logger of a part: `child("health").child("verdict")` is named `health:verdict`. */
  child(name: string): Logger;
}

export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = "debug" | "info" | "warn" | "error";

export type LoggerOptions = {
  /** `duck-agent`, `duck-coordinator`, `duckctl`. */
  readonly program: string;
  /** The least level written. Default: info. */
  readonly level?: LogLevel;
  /**
   * Names of parts whose debug lines are written, as in the environment variable DEBUG:
   * `*`, `raft,health:*`, `*,-raft`. Default: that variable.
   */
  readonly debug?: string;
  /** Takes whole lines, each with its newline. Default: stderr. */
  readonly write?: (line: string) => void;
  /** Lines for people rather than JSON. Default: whether stderr is a terminal, when `write` is absent. */
  readonly isForPeople?: boolean;
  /** Colours in lines for people. Default: what the terminal and NO_COLOR say. */
  readonly hasColours?: boolean;
};

/** Keys that every line has; a field of the same name gets an underscore behind it. */
const RESERVED = new Set(["level", "time", "program", "part", "event"]);

/** Makes the logger of a program. Writes synchronously, so that a crash loses no line. */
export function createLogger(options: LoggerOptions): Logger {
  const isTerminal = options.write === undefined && process.stderr.isTTY;
  const isForPeople = options.isForPeople ?? isTerminal;
  const hasColours = options.hasColours ?? (isTerminal && process.stderr.hasColors());
  const write = options.write ?? stderrWriter();
  const root = pino(
    {
      level: options.level ?? "info",
      base: { program: options.program },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: isForPeople ? (line) => write(formatLogLine(line, hasColours)) : write },
  );
  const isSelected = debugSelector(options.debug ?? process.env["DEBUG"] ?? "");
  if (isSelected("")) root.level = "debug";
  return wrap(root, "", { isSelected, baseLevel: options.level ?? "info" });
}

type Rules = { readonly isSelected: (name: string) => boolean; readonly baseLevel: LogLevel };

function wrap(target: pino.Logger, name: string, rules: Rules): Logger {
  return {
    debug: (event, fields) => {
      if (target.isLevelEnabled("debug")) target.debug(lineOf(event, fields));
    },
    info: (event, fields) => target.info(lineOf(event, fields)),
    warn: (event, fields) => target.warn(lineOf(event, fields)),
    error: (event, fields) => target.error(lineOf(event, fields)),
    isDebugEnabled: () => target.isLevelEnabled("debug"),
    child: (part) => {
      const path = name === "" ? part : `${name}:${part}`;
      const level = rules.isSelected(path) ? "debug" : rules.baseLevel;
      // The part is a field of each line, not a pino binding: a binding of a child's child repeats the key.
      return wrap(target.child({}, { level }), path, rules);
    },
  };

  function lineOf(event: string, fields: LogFields | undefined): Record<string, unknown> {
    const line: Record<string, unknown> = name === "" ? { event } : { part: name, event };
    for (const [key, value] of Object.entries(fields ?? {})) {
      line[RESERVED.has(key) ? `${key}_` : key] = value instanceof Error ? describeError(value) : value;
    }
    return line;
  }
}

function describeError(error: Error): Record<string, unknown> {
  const code = (error as { code?: unknown }).code;
  const { cause } = error;
  const hint = (error as { hint?: unknown }).hint;
  return {
    message: messageOf(error),
    ...(typeof code === "string" ? { code } : {}),
    ...(typeof hint === "string" ? { hint } : {}),
    // Errors with a code are expected ones and explain themselves; the rest is a bug that needs its stack.
    ...(typeof code === "string" ? {} : { stack: error.stack }),
    ...(cause === undefined ? {} : { cause: messageOf(cause) }),
  };
}

function stderrWriter(): (line: string) => void {
  const destination = pino.destination({ dest: 2, sync: true });
  // Nobody reads our log any more: that must not end the program.
  destination.on("error", () => undefined);
  return (line) => void destination.write(line);
}

/** Writes nothing: for tests and one-shot commands. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  isDebugEnabled: () => false,
  child: () => silentLogger,
};
