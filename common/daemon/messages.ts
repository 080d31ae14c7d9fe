import type { ProcessEnvironment } from "./environment.js";

/*
 * A daemon is three generations: the launcher that the user called, the watchdog it leaves behind, and the
 * child that does the work. All run the same program; the variable CLUSTERDUCK_DAEMON says who is who.
 * Read without a schema library: the watchdog stays for months and should stay small.
 */
export const ROLE_VARIABLE = "CLUSTERDUCK_DAEMON";

export type Role = {
  readonly role: "watchdog" | "child";
  readonly program: string;
  readonly pidFile: string;
};

/** Child to watchdog, watchdog to launcher. */
export type DaemonMessage =
  { readonly kind: "ready" } | { readonly kind: "failed"; readonly text: string; readonly exitCode: number };

/** Our place in a daemon; null when we are none, or the variable is not ours. */
export function readRole(env: ProcessEnvironment): Role | null {
  const value = parseJson(env[ROLE_VARIABLE]);
  const { role, program, pidFile } = value;
  const isRole = role === "watchdog" || role === "child";
  return isRole && typeof program === "string" && typeof pidFile === "string"
    ? { role, program, pidFile }
    : null;
}

export function parseMessage(value: unknown): DaemonMessage | null {
  const { kind, text, exitCode } = asRecord(value);
  if (kind === "ready") return { kind };
  const isFailure = kind === "failed" && typeof text === "string" && typeof exitCode === "number";
  return isFailure ? { kind, text, exitCode } : null;
}

function parseJson(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return asRecord(JSON.parse(text ?? "null"));
  } catch {
    return {};
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
