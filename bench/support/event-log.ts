import { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { createGrpcClient } from "../../common/grpc/client.js";

/** An event of the coordinator, with when it arrived here: this process's `performance.now()`. */
export type TimedEvent = {
  readonly type: string;
  readonly cluster: string;
  readonly addr: string;
  /** The new state, of a `state` event. */
  readonly to: string;
  readonly message: string;
  readonly atMs: number;
};

/** Follows a coordinator's events from now on. */
export class EventLog {
  readonly events: TimedEvent[] = [];
  readonly #closing = new AbortController();

  constructor(address: string) {
    void this.#follow(address);
  }

  /** The first event since then that matches; null: none yet. */
  first(sinceMs: number, matches: (event: TimedEvent) => boolean): TimedEvent | null {
    return this.events.find((event) => event.atMs >= sinceMs && matches(event)) ?? null;
  }

  close(): void {
    this.#closing.abort();
  }

  async #follow(address: string): Promise<void> {
    const client = createGrpcClient(ControlService, address);
    try {
      const { signal } = this.#closing;
      for await (const { event } of client.call.watchEvents({ follow: true }, { signal })) {
        const atMs = performance.now();
        if (event === undefined) continue;
        const { type, cluster, addr, message } = event;
        const to = event.data?.["to"];
        this.events.push({ type, cluster, addr, message, to: typeof to === "string" ? to : "", atMs });
      }
    } catch (thrown) {
      if (!this.#closing.signal.aborted) throw thrown;
    } finally {
      client.close();
    }
  }
}
