import { isIP } from "node:net";
import { Client, connectivityState, credentials, Metadata, type ChannelOptions } from "@grpc/grpc-js";
import { systemClock, type Clock } from "../common/clock.js";
import { grpcOptions, type GrpcOptions } from "../common/config/checks/grpc.js";
import { formatAddress, type Address } from "../common/model/address.js";
import type { Observation } from "../common/model/observation.js";
import type { Check, CheckContext } from "./check.js";
import { judgeFailure, judgeStatus } from "./grpc/grpc-status.js";
import { decodeResponse, encodeRequest, type ServingStatus } from "./grpc/health-messages.js";
import { parseOptions } from "./parse-options.js";
import { observationOfError } from "./socket-errors.js";
import { loadTls } from "./tls-options.js";

const METHOD = "/grpc.health.v1.Health/Check";
const MAX_MESSAGE_BYTES = 64 * 1024;

/**
 * Check `grpc`: the standard health service over a channel that stays open while it works. A channel that
 * failed is thrown away, so that grpc-js's growing pauses between reconnects never delay seeing a return.
 * @throws ClusterduckError CONFIG_INVALID for options that its schema refuses.
 */
export function createGrpcCheck(context: CheckContext, clock: Clock = systemClock): Check {
  return new GrpcCheck(context, clock);
}

class GrpcCheck implements Check {
  readonly #context: CheckContext;
  readonly #clock: Clock;
  readonly #options: GrpcOptions;
  readonly #clients = new Set<Client>();
  /** Works, and no run uses it. */
  #idle: Client | null = null;
  /** Those whose state somebody waits for already. */
  readonly #watched = new WeakSet<Client>();
  #isClosed = false;

  constructor(context: CheckContext, clock: Clock) {
    this.#context = context;
    this.#clock = clock;
    this.#options = parseOptions(grpcOptions, context.config);
  }

  async run(signal: AbortSignal): Promise<Observation> {
    const startedAtMs = this.#clock.monotonicMs();
    const kept = this.#idle;
    this.#idle = null;
    let client: Client;
    try {
      client = kept ?? (await this.#open());
    } catch (thrown) {
      return observationOfError(thrown, this.#clock.monotonicMs() - startedAtMs);
    }
    const { service } = this.#options;
    try {
      const found = await this.#ask(client, signal);
      this.#keepOrEnd(client);
      return { ...judgeStatus(found, service), latencyMs: this.#clock.monotonicMs() - startedAtMs };
    } catch (thrown) {
      this.#end(client);
      return { ...judgeFailure(thrown, service), latencyMs: this.#clock.monotonicMs() - startedAtMs };
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#idle = null;
    for (const client of this.#clients) this.#end(client);
  }

  /** @throws ClusterduckError CONFIG_UNREADABLE for a TLS file. */
  async #open(): Promise<Client> {
    const { address } = this.#context;
    const tls = await loadTls(this.#options.tls, address);
    const channelCredentials =
      tls === undefined
        ? credentials.createInsecure()
        : credentials.createSsl(bytes(tls.ca), bytes(tls.key), bytes(tls.cert), {
            rejectUnauthorized: tls.rejectUnauthorized !== false,
          });
    const client = new Client(targetOf(address), channelCredentials, this.#channelOptions(tls?.servername));
    this.#clients.add(client);
    return client;
  }

  #channelOptions(servername: string | undefined): ChannelOptions {
    return {
      "grpc.default_authority": this.#options.authority ?? authorityOf(this.#context.address),
      ...(servername === undefined ? {} : { "grpc.ssl_target_name_override": servername }),
      // The node itself is asked, whatever this process's environment says of proxies.
      "grpc.enable_http_proxy": 0,
      "grpc.enable_retries": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    };
  }

  #ask(client: Client, signal: AbortSignal): Promise<ServingStatus> {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(this.#options.metadata)) metadata.set(key, value);
    return new Promise((resolve, reject) => {
      const request = { service: this.#options.service };
      const call = client.makeUnaryRequest(
        METHOD,
        encodeRequest,
        decodeResponse,
        request,
        metadata,
        (error, found) => {
          signal.removeEventListener("abort", onAbort);
          if (error !== null) reject(error);
          else if (found === undefined) reject(new Error("the health service sent no answer"));
          else resolve(found);
        },
      );
      const onAbort = (): void => call.cancel();
      if (signal.aborted) onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** With overlapping runs one channel is kept. */
  #keepOrEnd(client: Client): void {
    if (this.#idle !== null || this.#isClosed) {
      this.#end(client);
      return;
    }
    this.#idle = client;
    this.#watch(client);
  }

  /** Tells once when an idle channel loses its connection. */
  #watch(client: Client): void {
    const channel = client.getChannel();
    const state = channel.getConnectivityState(false);
    if (this.#watched.has(client) || state !== connectivityState.READY) return;
    this.#watched.add(client);
    channel.watchConnectivityState(state, Infinity, () => {
      if (this.#idle !== client || this.#isClosed) return;
      this.#idle = null;
      this.#end(client);
      this.#context.onConnectionLost();
    });
  }

  #end(client: Client): void {
    this.#clients.delete(client);
    client.close();
  }
}

function targetOf(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const family = isIP(address.host);
  return `${family === 4 ? "ipv4" : family === 6 ? "ipv6" : "dns"}:${formatAddress(address)}`;
}

function authorityOf(address: Address): string {
  return address.kind === "unix" ? "localhost" : formatAddress(address);
}

/** TLS files are read as text. */
function bytes(material: unknown): Buffer | null {
  return typeof material === "string" ? Buffer.from(material) : null;
}
