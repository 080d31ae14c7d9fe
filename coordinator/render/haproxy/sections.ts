import type { HaproxyConfig } from "../../../common/config/model.js";
import { haproxyWord } from "../../../common/haproxy-word.js";
import { GENERATION_VARIABLE, markerOf } from "../../../common/model/generation.js";

/** The sections of a whole file that do not depend on nodes. Lines are without their newline. */

export function globalSection(balancer: HaproxyConfig): readonly string[] {
  const lines = ["global", MARKER_PLACEHOLDER];
  const socket = balancer.target?.statsSocket ?? null;
  const isDeclared = balancer.globalOptions.some((line) => /^\s*stats\s+socket\s/.test(line));
  // Admin level: state changes go through it. expose-fd: a reload by signal takes the listeners over.
  if (socket !== null && !isDeclared) {
    lines.push(`  stats socket ${haproxyWord(socket)} mode 600 level admin expose-fd listeners`);
  }
  lines.push(...indented(balancer.globalOptions), "");
  return lines;
}

/**
 * Timeouts that fit requests; a tunnel (WebSocket) may be silent for an hour. A failed connection attempt
 * is repeated at once on another server, which hides a death until it is decided.
 */
export function defaultsSection(balancer: HaproxyConfig): readonly string[] {
  return [
    "defaults",
    "  mode http",
    "  timeout connect 5s",
    "  timeout client 1m",
    "  timeout server 1m",
    "  timeout http-request 10s",
    "  timeout queue 10s",
    "  timeout tunnel 1h",
    "  retries 3",
    "  option redispatch 1",
    ...indented(balancer.defaultsOptions),
    "",
  ];
}

/** An idle Redis connection is in use: its pool's owner expects it to be there. */
const TCP_IDLE = "1h";

export function frontendSection(
  cluster: string,
  isTcp: boolean,
  frontend: { readonly bind: readonly string[]; readonly options: readonly string[] },
): readonly string[] {
  return [
    `frontend ${cluster}-in`,
    ...(isTcp
      ? ["  mode tcp", `  timeout client ${TCP_IDLE}`]
      : // Without it a reload closes keep-alive connections on which a request may be on its way.
        ["  mode http", "  option idle-close-on-response"]),
    ...frontend.bind.map((bind) => `  bind ${bind}`),
    ...indented(frontend.options),
    `  default_backend ${cluster}`,
    "",
  ];
}

export function backendHead(cluster: string, isTcp: boolean, balancer: HaproxyConfig): readonly string[] {
  return [
    `backend ${cluster}`,
    ...(isTcp ? ["  mode tcp", `  timeout server ${TCP_IDLE}`] : ["  mode http"]),
    `  balance ${balancer.algorithm}`,
    ...indented(balancer.backendOptions),
  ];
}

/** Stands where the marker goes, because the marker is the hash of all else. */
const MARKER_PLACEHOLDER = `  setenv ${GENERATION_VARIABLE} -`;

/** An include file may have a `global` of its own: HAProxy joins them. */
export const MARKER_SECTION: readonly string[] = ["global", MARKER_PLACEHOLDER, ""];

export function fillMarker(text: string, generation: string): string {
  return text.replace(MARKER_PLACEHOLDER, `  setenv ${GENERATION_VARIABLE} ${markerOf(generation)}`);
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `  ${line.trim()}`);
}
