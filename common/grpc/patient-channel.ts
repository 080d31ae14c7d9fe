import { connectivityState } from "@grpc/grpc-js";
import type { Client } from "@grpc/grpc-js";

/**
 * A gRPC client that does not wait for a connection for ever. The system repeats the first packet of a connection
 * at ever longer intervals, up to half a minute, and gRPC its attempts up to two minutes: whoever comes back
 * after a long absence would have to wait for the next one. So a client that has no connection for a while is given
 * up, with the calls that wait for it, and the next call begins anew.
 */
export class PatientChannel {
  readonly #make: () => Client;
  readonly #patienceMs: number;
  #client: Client;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param patienceMs how long a client may be without a connection, once it is used. */
  constructor(make: () => Client, patienceMs: number) {
    this.#make = make;
    this.#patienceMs = patienceMs;
    this.#client = make();
  }

  /** For one call that begins now. */
  client(): Client {
    if (this.#timer === null && !this.#isClosed && !this.#isConnected()) {
      this.#timer = setTimeout(() => this.#judge(), this.#patienceMs);
      // The calls keep the process running, for as long as they last.
      this.#timer.unref();
    }
    return this.#client;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#client.close();
  }

  #isConnected(): boolean {
    return this.#client.getChannel().getConnectivityState(false) === connectivityState.READY;
  }

  #judge(): void {
    this.#timer = null;
    if (this.#isConnected()) return;
    const old = this.#client;
    this.#client = this.#make();
    old.close();
  }
}
