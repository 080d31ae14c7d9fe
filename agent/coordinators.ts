import { isDeepStrictEqual } from "node:util";
import type { Welcome } from "../proto/gen/clusterduck/v1/agent_pb.js";
import type { Logger } from "../common/logger.js";
import type { CoordinatorStream } from "./stream.js";

export type CoordinatorsOptions = {
  readonly createStream: (address: string) => CoordinatorStream;
  /** Somebody went: what it wanted checked may no longer count. */
  readonly onRemoved: () => void;
  /** Those that coordinators name are others than before. */
  readonly onNamed: () => void;
  readonly logger: Logger;
};

type Entry = {
  readonly stream: CoordinatorStream;
  /** Named by this agent's configuration; the others were named by a coordinator. */
  isConfigured: boolean;
  readonly stopping: AbortController;
  running: Promise<void>;
};

/**
 * The streams of an agent: to every coordinator that its configuration names, and to those that they name in
 * turn, so that one address suffices to find the tier.
 */
export class Coordinators {
  readonly #options: CoordinatorsOptions;
  /** Key: address. */
  readonly #entries = new Map<string, Entry>();
  /** The agent's, once it runs. */
  #signal: AbortSignal | null = null;

  constructor(options: CoordinatorsOptions) {
    this.#options = options;
  }

  streams(): readonly CoordinatorStream[] {
    return [...this.#entries.values()].map(({ stream }) => stream);
  }

  /** The addresses that coordinators have named, beyond those of the configuration. */
  named(): readonly string[] {
    return [...this.#entries].flatMap(([address, { isConfigured }]) => (isConfigured ? [] : [address]));
  }

  /** Those named before the last stop: tried again, until a coordinator says that they are no members. */
  remember(addresses: readonly string[]): void {
    for (const address of addresses) if (!this.#entries.has(address)) this.#add(address, false);
  }

  /** The addresses of the configuration, from now on. */
  configure(addresses: readonly string[]): void {
    for (const [address, entry] of this.#entries) {
      if (entry.isConfigured && !addresses.includes(address))
        this.#remove(address, "not configured any more");
    }
    for (const address of addresses) {
      const known = this.#entries.get(address);
      if (known === undefined) this.#add(address, true);
      else known.isConfigured = true;
    }
  }

  /** Runs all streams until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    for (const entry of this.#entries.values()) this.#start(entry);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.all([...this.#entries.values()].map(({ running }) => running));
  }

  /** A coordinator tells who else there is. Its stream knows by now who answered at `address`. */
  onWelcome(address: string, welcome: Pick<Welcome, "coordinatorId" | "members">): void {
    const before = this.named();
    this.#dropDoubles(address, welcome.coordinatorId);
    const named = new Set(welcome.members.map(({ agentAddress }) => agentAddress));
    for (const [other, { isConfigured, stream }] of this.#entries) {
      if (!isConfigured && !stream.isConnected && !named.has(other))
        this.#remove(other, "no member any more");
    }
    for (const { id, agentAddress } of welcome.members) {
      const isKnown =
        id === welcome.coordinatorId || this.streams().some((each) => each.coordinatorId === id);
      if (!isKnown && agentAddress !== "" && !this.#entries.has(agentAddress)) this.#add(agentAddress, false);
    }
    if (!isDeepStrictEqual(this.named(), before)) this.#options.onNamed();
  }

  /** One coordinator under two addresses would end one stream for the other for ever. The configured address stays. */
  #dropDoubles(address: string, coordinatorId: string): void {
    const isConfigured = this.#entries.get(address)?.isConfigured === true;
    for (const [other, entry] of this.#entries) {
      if (other === address || entry.stream.coordinatorId !== coordinatorId) continue;
      const double = isConfigured && !entry.isConfigured ? other : address;
      this.#remove(double, `coordinator "${coordinatorId}" is also at ${double === other ? address : other}`);
      if (double === address) return;
    }
  }

  #add(address: string, isConfigured: boolean): void {
    const stream = this.#options.createStream(address);
    const stopping = new AbortController();
    const entry = { stream, isConfigured, stopping, running: Promise.resolve() };
    this.#entries.set(address, entry);
    if (!isConfigured) this.#options.logger.info("coordinator.found", { coordinator: address });
    this.#start(entry);
  }

  #remove(address: string, why: string): void {
    this.#entries.get(address)?.stopping.abort();
    this.#entries.delete(address);
    this.#options.logger.info("coordinator.dropped", { coordinator: address, why });
    this.#options.onRemoved();
  }

  #start(entry: Entry): void {
    if (this.#signal === null) return;
    entry.running = entry.stream.run(AbortSignal.any([this.#signal, entry.stopping.signal]));
  }
}
