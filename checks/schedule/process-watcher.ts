import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { systemClock, type Clock } from "../../common/clock.js";
import { parseAddress, type Address } from "../../common/model/address.js";
import { isLocalHost, readLocalHosts } from "./local-hosts.js";
import { isMatch, matchOf, readListeners, type Listener, type ListenerMatch } from "./proc-net.js";
import { findHolders, hasExited, type ProcessId } from "./proc-pid.js";
import type { ProcessEvidence, ProcessWatcher } from "./process-evidence.js";

export type ProcessWatcherOptions = {
  readonly clock?: Clock;
  /** Least time between two scans of all processes. Milliseconds. */
  readonly scanGapMs?: number;
  /** How often everything is learned again although nothing calls for it. Milliseconds. */
  readonly refreshMs?: number;
};
export const PROCESS_WATCHER_DEFAULTS = { scanGapMs: 1_000, refreshMs: 300_000 };

type Served = {
  readonly address: Address;
  /** Null: not an address of this host, or not known yet whether it is one. */
  match: ListenerMatch | null;
  /** Empty: nobody known to serve it. */
  servers: readonly ProcessId[];
};

/**
 * Evidence of exits from /proc: who listens is learned by one scan for all addresses, in the background and
 * rarely; asking reads the list of listening sockets and one line per process. Needs no privileges for
 * processes of its own user; what it may not see gives no evidence.
 */
export function createProcessWatcher(options: ProcessWatcherOptions = {}): ProcessWatcher {
  return new ProcWatcher(options);
}

class ProcWatcher implements ProcessWatcher {
  readonly #clock: Clock;
  readonly #scanGapMs: number;
  readonly #refreshMs: number;
  readonly #served = new Map<string, Served>();
  readonly #unknown = new Set<string>();
  readonly #stop = new AbortController();
  /** By port. Null: to be read again. */
  #listeners: ReadonlyMap<number, readonly Listener[]> | null = null;
  #isScanning = false;
  #scannedMs = -Infinity;
  #cancelTimer: (() => void) | null = null;

  constructor(options: ProcessWatcherOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#scanGapMs = options.scanGapMs ?? PROCESS_WATCHER_DEFAULTS.scanGapMs;
    this.#refreshMs = options.refreshMs ?? PROCESS_WATCHER_DEFAULTS.refreshMs;
  }

  watch(addresses: readonly string[]): void {
    const wanted = new Set(addresses);
    for (const addr of this.#served.keys()) if (!wanted.has(addr)) this.#served.delete(addr);
    for (const addr of wanted) {
      if (this.#served.has(addr)) continue;
      this.#served.set(addr, { address: parseAddress(addr), match: null, servers: [] });
      this.#unknown.add(addr);
    }
    this.#plan();
  }

  relearn(address: string): void {
    const served = this.#served.get(address);
    if (served === undefined) return;
    this.#unknown.add(address);
    this.#plan();
  }

  evidence(address: string): { readonly state: ProcessEvidence; readonly detail: string } {
    const served = this.#served.get(address);
    if (served === undefined || served.match === null)
      return { state: "unknown", detail: "not on this host" };
    if (served.servers.length === 0) return { state: "unknown", detail: "no process is known to serve it" };
    const alive = served.servers.find((server) => !hasExited(server));
    if (alive !== undefined) return { state: "running", detail: `process ${alive.pid} runs` };
    const { match } = served;
    const pids = served.servers.map(({ pid }) => pid).join(", ");
    if (this.#listenersOf(match).length > 0) {
      this.relearn(address);
      return { state: "running", detail: `process ${pids} has exited, another listens` };
    }
    return { state: "exited", detail: `process ${pids} has exited and nobody listens` };
  }

  close(): void {
    this.#stop.abort();
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#served.clear();
  }

  #listenersOf(match: ListenerMatch): readonly Listener[] {
    return (this.#listening().get(match.port) ?? []).filter((listener) => isMatch(listener, match));
  }

  /** Read once a turn: a hundred services that die together need one reading. */
  #listening(): ReadonlyMap<number, readonly Listener[]> {
    if (this.#listeners === null) {
      const hasUnix = [...this.#served.values()].some(({ address }) => address.kind === "unix");
      this.#listeners = byPort(readListeners(hasUnix));
      setImmediate(() => (this.#listeners = null));
    }
    return this.#listeners;
  }

  #plan(): void {
    if (this.#isScanning || this.#stop.signal.aborted || this.#served.size === 0) return;
    const waitMs = this.#unknown.size > 0 ? this.#scanGapMs : this.#refreshMs;
    const dueMs = Math.max(0, this.#scannedMs + waitMs - this.#clock.monotonicMs());
    this.#cancelTimer?.();
    this.#cancelTimer = this.#clock.after(dueMs, () => void this.#scan());
  }

  async #scan(): Promise<void> {
    this.#cancelTimer = null;
    this.#isScanning = true;
    const isRefresh = this.#unknown.size === 0;
    const wanted = [...(isRefresh ? this.#served.keys() : this.#unknown)];
    this.#unknown.clear();
    try {
      await this.#learn(wanted);
    } finally {
      this.#isScanning = false;
      this.#scannedMs = this.#clock.monotonicMs();
      this.#plan();
    }
  }

  async #learn(addresses: readonly string[]): Promise<void> {
    const local = readLocalHosts();
    const found: {
      readonly served: Served;
      readonly match: ListenerMatch | null;
      readonly inodes: readonly string[];
    }[] = [];
    const matches = await Promise.all(addresses.map((addr) => this.#matchOf(addr, local)));
    for (const [index, addr] of addresses.entries()) {
      const served = this.#served.get(addr);
      const match = matches[index] ?? null;
      if (served === undefined) continue;
      const listeners = match === null ? [] : this.#listenersOf(match);
      found.push({ served, match, inodes: listeners.map(({ inode }) => inode) });
    }
    const inodes = new Set(found.flatMap((each) => each.inodes));
    const holders = inodes.size === 0 ? null : await findHolders(inodes, this.#stop.signal);
    for (const { served, match, inodes: own } of found) {
      served.match = match;
      const all = own.flatMap((inode) => holders?.get(inode) ?? []);
      // While nobody listens, those we knew stay known: their exit is what we are here to tell.
      if (all.length > 0) served.servers = all.some((holder) => holder.isForeign) ? [] : all;
    }
  }

  async #matchOf(addr: string, local: ReadonlySet<string>): Promise<ListenerMatch | null> {
    const address = this.#served.get(addr)?.address;
    if (address === undefined) return null;
    if (address.kind === "unix") return matchOf(address, []);
    const ips = address.host === "localhost" ? ["127.0.0.1", "::1"] : await resolve(address.host);
    return ips.every((ip) => isLocalHost(ip, local)) ? matchOf(address, ips) : null;
  }
}

function byPort(listeners: readonly Listener[]): ReadonlyMap<number, readonly Listener[]> {
  const ports = new Map<number, Listener[]>();
  for (const listener of listeners) {
    const known = ports.get(listener.port);
    if (known === undefined) ports.set(listener.port, [listener]);
    else known.push(listener);
  }
  return ports;
}

async function resolve(host: string): Promise<readonly string[]> {
  if (isIP(host.replace(/%.*$/, "")) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    // A name that does not resolve now is asked for again at the next scan.
    return [];
  }
}
