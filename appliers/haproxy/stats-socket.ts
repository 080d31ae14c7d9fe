import { haproxyWord } from "../../common/haproxy-word.js";
import { GENERATION_VARIABLE } from "../../common/model/generation.js";

/**
 * The stats socket is a thing of the host, and what is rendered for many hosts cannot name it. So the applier
 * adds it to a whole file that has none: without it every change would cost a reload.
 */
const HOST_MARK = "# of this host: proxies.stats_socket";
const HOST_LINE = new RegExp(`^.* ${HOST_MARK}\\n`, "m");
const GENERATION_LINE = new RegExp(`^([ \\t]*)setenv ${GENERATION_VARIABLE} .*\\n`, "m");

export function withStatsSocket(text: string, socket: string | null): string {
  // An include file stands beside the user's own, whose business this is: only whole files have defaults.
  const isWhole = /^defaults\b/m.test(text);
  const isDeclared = /^\s*stats\s+socket\s/m.test(text);
  if (socket === null || !isWhole || isDeclared) return text;
  // Admin level: state changes go through it. expose-fd: a reload by signal takes the listeners over.
  return text.replace(
    GENERATION_LINE,
    (line, indent: string) =>
      `${line}${indent}stats socket ${haproxyWord(socket)} mode 600 level admin expose-fd listeners ${HOST_MARK}\n`,
  );
}

/** The text as it was rendered: its hash is the generation. */
export function withoutHostLine(text: string): string {
  return text.replace(HOST_LINE, "");
}
