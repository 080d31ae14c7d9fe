import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { isIPv4, isIPv6 } from "node:net";
import { endianness } from "node:os";
import ipaddr from "ipaddr.js";
import type { Address } from "../../common/model/address.js";

/** A socket that listens in our network namespace, as the kernel lists it. */
export type Listener = {
  /** The kernel's hexadecimal form of the local address; for unix sockets the path. */
  readonly local: string;
  /** 0 for unix sockets. */
  readonly port: number;
  readonly inode: string;
};

const LISTEN_STATE = "0A";
/** How the table's first line begins. */
const HEADING = "  sl ";
const ACCEPTS_CONNECTIONS = 0x1_00_00;
const CHUNK_BYTES = 16_384;

/** Every listening TCP socket, and unix ones when asked for. Empty where the kernel has no such files. */
export function readListeners(withUnix: boolean): readonly Listener[] {
  const listeners = [...readTcp("/proc/self/net/tcp"), ...readTcp("/proc/self/net/tcp6")];
  return withUnix ? [...listeners, ...readUnix()] : listeners;
}

/**
 * The listening sockets of one table. The kernel lists these first, so reading stops at the first other one,
 * however many thousand connections follow.
 */
function readTcp(path: string): readonly Listener[] {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return [];
  }
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const listeners: Listener[] = [];
    let rest = "";
    for (;;) {
      const length = readSync(file, chunk, 0, CHUNK_BYTES, null);
      const parsed = parseTcpListeners(rest + chunk.toString("latin1", 0, length));
      for (const listener of parsed.listeners) listeners.push(listener);
      if (length === 0 || parsed.isComplete) return listeners;
      rest = parsed.rest;
    }
  } catch {
    return [];
  } finally {
    closeSync(file);
  }
}

/**
 * The listeners of a piece of the table, which begins with a whole line. `isComplete`: a socket that does not
 * listen was seen, so no further listener follows. `rest`: a line that is not read to its end.
 */
export function parseTcpListeners(text: string): {
  readonly listeners: readonly Listener[];
  readonly isComplete: boolean;
  readonly rest: string;
} {
  const listeners: Listener[] = [];
  const lines = text.split("\n");
  const rest = lines.pop() ?? "";
  for (const line of lines) {
    if (line.startsWith(HEADING)) continue;
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/, 10);
    if (state !== LISTEN_STATE) return { listeners, isComplete: true, rest: "" };
    const colon = local.lastIndexOf(":");
    listeners.push({
      local: local.slice(0, colon),
      port: Number.parseInt(local.slice(colon + 1), 16),
      inode,
    });
  }
  return { listeners, isComplete: false, rest };
}

function readUnix(): readonly Listener[] {
  try {
    return parseUnixListeners(readFileSync("/proc/self/net/unix", "latin1"));
  } catch {
    return [];
  }
}

export function parseUnixListeners(text: string): readonly Listener[] {
  return text.split("\n").flatMap((line) => {
    const [, , , flags = "", , , inode = "", path] = line.trim().split(/\s+/);
    const isListening = (Number.parseInt(flags, 16) & ACCEPTS_CONNECTIONS) !== 0;
    return path !== undefined && isListening ? [{ local: path, port: 0, inode }] : [];
  });
}

/** Recognises the listeners that would take a connection to an address. */
export type ListenerMatch = { readonly port: number; readonly locals: ReadonlySet<string> };

/** Sockets on `ips` themselves and on every wildcard that includes them. Null for an address that is no IP. */
export function matchOf(address: Address, ips: readonly string[]): ListenerMatch | null {
  if (address.kind === "unix") return { port: 0, locals: new Set([address.path]) };
  const locals = ips.flatMap((ip) => {
    if (isIPv4(ip)) return [kernelHex(ip), kernelHex("0.0.0.0"), kernelHex(`::ffff:${ip}`), kernelHex("::")];
    return isIPv6(ip) ? [kernelHex(ip), kernelHex("::")] : [];
  });
  return locals.length === 0 ? null : { port: address.port, locals: new Set(locals) };
}

export function isMatch(listener: Listener, match: ListenerMatch): boolean {
  return listener.port === match.port && match.locals.has(listener.local);
}

/** The kernel prints addresses as 32-bit words in its own byte order. */
function kernelHex(ip: string): string {
  const bytes = Buffer.from(ipaddr.parse(ip.replace(/%.*$/, "")).toByteArray());
  return (endianness() === "LE" ? bytes.swap32() : bytes).toString("hex").toUpperCase();
}
