import { createGrpcClient } from "../common/grpc/client.js";
import type { GrpcClient } from "../common/grpc/client.js";
import type { CallOptions } from "../common/grpc/service.js";
import { ControlService } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { Connection } from "./connection.js";

export type Init = Record<string, unknown>;
type Unary = (request: Init, options?: CallOptions) => Promise<unknown>;
type Streaming = (request: Init, options?: CallOptions) => AsyncIterable<unknown>;

/** One call's way through the servers: it asks the one whose turn it is. */
export type Turns = {
  /** @param name of the method in our code. */
  readonly ask: (name: string, request: Init, options: CallOptions | undefined) => Promise<unknown>;
  /** As `ask`, without a trace in who is asked first and what failed. */
  readonly peek: (name: string, request: Init, options: CallOptions | undefined) => Promise<unknown>;
  readonly stream: (name: string, request: Init, options: CallOptions | undefined) => AsyncIterable<unknown>;
  readonly next: () => void;
};

/** The servers of one tier, their connections, and who of them is asked first: whoever answered last. */
export class Servers {
  readonly #connection: Connection;
  readonly #clients = new Map<string, GrpcClient<typeof ControlService>>();
  readonly #failures = new Map<string, unknown>();
  #favourite = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get count(): number {
    return this.#connection.servers.length;
  }

  /** The place of the server that is asked first; the next ones follow, round and round. */
  get favourite(): number {
    return this.#favourite;
  }

  /** What the newest call that failed at each server met there, by address. */
  get failures(): ReadonlyMap<string, unknown> {
    return this.#failures;
  }

  /** Calls that are made at the same moment take their turns independently: none skips a server because of another. */
  begin(place: number = this.#favourite): Turns {
    let at = place;
    const peek: Turns["peek"] = (name, request, options) => (this.#api(at)[name] as Unary)(request, options);
    return {
      peek,
      ask: async (name, request, options) => {
        try {
          const answer = await peek(name, request, options);
          this.#answered(at);
          return answer;
        } catch (thrown) {
          this.#failures.set(this.#address(at), thrown);
          throw thrown;
        }
      },
      stream: (name, request, options) => this.#stream(at, name, request, options),
      next: () => void at++,
    };
  }

  /** Another server is asked first from now on. */
  changeFavourite(): void {
    this.#favourite++;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  async *#stream(at: number, name: string, request: Init, options?: CallOptions): AsyncIterable<unknown> {
    let hasBegun = false;
    try {
      for await (const answer of (this.#api(at)[name] as Streaming)(request, options)) {
        if (!hasBegun) this.#answered(at);
        hasBegun = true;
        yield answer;
      }
    } catch (thrown) {
      this.#failures.set(this.#address(at), thrown);
      throw thrown;
    }
  }

  #answered(at: number): void {
    this.#favourite = at;
    this.#failures.delete(this.#address(at));
  }

  #address(at: number): string {
    const { servers } = this.#connection;
    return servers[at % servers.length] ?? "";
  }

  #api(at: number): Init {
    const address = this.#address(at);
    const known =
      this.#clients.get(address) ?? createGrpcClient(ControlService, address, { tls: this.#connection.tls });
    this.#clients.set(address, known);
    return known.call;
  }
}
