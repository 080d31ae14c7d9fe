import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectResponseSchema } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { ScheduledNode } from "../../checks/schedule.js";
import type { ClusterduckError } from "../../common/errors.js";
import type { Bundle } from "../../common/model/delivery.js";
import type { NodeKey } from "../../common/model/node.js";
import { nodeKey } from "../../common/model/node.js";
import { Wakeup } from "../../common/wakeup.js";
import { encodeNode } from "../../common/wire/assignment.js";
import { encodeBundle } from "../../common/wire/bundle.js";
import { toUint64 } from "../../common/wire/values.js";
import { ObservationReader } from "./observation-reader.js";

export type Response = MessageInitShape<typeof ConnectResponseSchema>;

type Probe = { readonly node: ScheduledNode; readonly durationMs: number };

/**
 * One live stream to an agent: what still has to be said, the newest word of each kind only. It is asked
 * for the next message when the last one has left, so an agent that does not read costs no memory.
 */
export class AgentConnection {
  readonly #wakeup = new Wakeup();
  readonly #ended = new AbortController();
  /** Key: balancer. */
  readonly #bundles = new Map<string, Bundle>();
  readonly #probes = new Map<NodeKey, Probe>();
  readonly observations = new ObservationReader();
  #hasWork = false;
  #hasMembers = false;
  #acknowledge: number | null = null;

  /** Why it ended; null while it lives. */
  get endedBy(): ClusterduckError | null {
    return this.#ended.signal.aborted ? (this.#ended.signal.reason as ClusterduckError) : null;
  }

  /** Aborts when the connection has ended, with the error as its reason. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  end(error: ClusterduckError): void {
    if (!this.#ended.signal.aborted) this.#ended.abort(error);
  }

  apply(bundle: Bundle): void {
    this.#bundles.set(bundle.balancer, bundle);
    this.#wakeup.wake();
  }

  probe(node: ScheduledNode, durationMs: number): void {
    this.#probes.set(nodeKey(node.node), { node, durationMs });
    this.#wakeup.wake();
  }

  acknowledge(sequence: number): void {
    this.#acknowledge = sequence;
    this.#wakeup.wake();
  }

  /** The assignment may have changed: `nextAssignment` is asked when it can be sent. */
  reassign(): void {
    this.#hasWork = true;
    this.#wakeup.wake();
  }

  /** The coordinators have changed. */
  tellMembers(): void {
    this.#hasMembers = true;
    this.#wakeup.wake();
  }

  /** Messages until the connection ends; then throws why. */
  async *messages(next: {
    readonly assignment: () => Response | null;
    readonly members: () => Response;
  }): AsyncGenerator<Response> {
    while (!this.ended.aborted) {
      const message = this.#next(next);
      if (message === null) await this.#wakeup.wait(this.ended);
      else yield message;
    }
    throw this.ended.reason;
  }

  /** The most urgent first: a proxy's new configuration, a doubt, the work, the receipt. */
  #next(next: {
    readonly assignment: () => Response | null;
    readonly members: () => Response;
  }): Response | null {
    for (const [balancer, bundle] of this.#bundles) {
      this.#bundles.delete(balancer);
      return { message: { case: "apply", value: encodeBundle(bundle) } };
    }
    for (const [key, { node, durationMs }] of this.#probes) {
      this.#probes.delete(key);
      return { message: { case: "probe", value: { node: encodeNode(node), durationMs } } };
    }
    if (this.#hasWork) {
      this.#hasWork = false;
      const assignment = next.assignment();
      if (assignment !== null) return assignment;
    }
    if (this.#hasMembers) {
      this.#hasMembers = false;
      return next.members();
    }
    if (this.#acknowledge !== null) {
      const sequence = toUint64(this.#acknowledge);
      this.#acknowledge = null;
      return { message: { case: "acknowledgement", value: { sequence } } };
    }
    return null;
  }
}
