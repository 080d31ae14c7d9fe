/** Callers of a tier's API, what they saw, and what was acknowledged to them. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Control, TierClient } from "../../cli/tier-client.js";
import { ClusterduckError } from "../../common/errors.js";
import { isUnsent } from "../../common/grpc/unsent.js";
import { seededRandom } from "../../common/random.js";
import type { Random } from "../../common/random.js";
import type { Action, Operation } from "../support/linearizability/history.js";
import type { DistantTier } from "./distant-tier.js";

/**
 * What stands for a register. `overlay`: a node's maintenance with its reason, or none. `node`: a node with its
 * comment, or none. "" is what is read where there is none.
 */
type Register = { readonly kind: "overlay" | "node"; readonly addr: string };

const REGISTERS_OF_A_KIND = 2;
/** After this long others take their place: the history of each stays short enough to be judged. */
const WINDOW_MS = 12_000;
const CALL_MS = 5_000;
const THINK_MS = 30;
/** Of a node that comes and goes so that the log grows beyond its segments: 480 kB that no compression makes small. */
const BULK_ATTRIBUTES = Object.fromEntries(
  Array.from({ length: 120 }, (_, at) => [`bulk${at}`, randomBytes(3_000).toString("base64")]),
);

/** The section `clusters` for so long a run; nodes with overlays are there from the beginning. */
export function clustersFor(durationMs: number): string {
  const windows = Array.from({ length: windowOf(durationMs) + 1 }, (_, window) => window);
  const nodes = windows.flatMap((window) => registersOf(window).filter(({ kind }) => kind === "overlay"));
  return `clusters:
  overlay: {type: tcp, nodes: ${JSON.stringify(nodes.map(({ addr }) => addr))}}
  node: {type: tcp}
  growing: {type: tcp}
  bulk: {type: tcp}`;
}

function windowOf(atMs: number): number {
  return Math.floor(atMs / WINDOW_MS);
}

function registersOf(window: number): readonly Register[] {
  const numbers = Array.from({ length: REGISTERS_OF_A_KIND }, (_, number) => number);
  return numbers.flatMap((number) => [
    { kind: "overlay", addr: `10.1.${window}.${number}:80` },
    { kind: "node", addr: `10.2.${window}.${number}:80` },
  ]);
}

export type ClientsOptions = {
  readonly tier: DistantTier;
  readonly count: number;
  readonly seed: number;
  /** When no window is left, the last one goes on. */
  readonly durationMs: number;
};

export class Clients {
  readonly history: Operation[] = [];
  /** Nodes of cluster `growing` whose addition was acknowledged. */
  readonly grown = new Set<string>();
  /** By error code, and by method. */
  readonly failures = new Map<string, number>();
  acknowledgedWrites = 0;
  /** When writes were acknowledged with the longest time between them, milliseconds since the start. */
  longestGap = { fromMs: 0, toMs: 0 };
  readonly #options: ClientsOptions;
  readonly #beganMs = performance.now();
  readonly #running: readonly Promise<void>[];
  #lastWriteMs = 0;
  #isOver = false;

  constructor(options: ClientsOptions) {
    this.#options = options;
    for (let window = 0; window <= windowOf(options.durationMs); window++) {
      for (const register of registersOf(window)) this.#beginEmpty(register);
    }
    this.#running = Array.from({ length: options.count }, (_, at) => this.#run(at));
  }

  get nowMs(): number {
    return performance.now() - this.#beganMs;
  }

  /** Resolves when every operation has its answer or is given up. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #run(at: number): Promise<void> {
    const { tier, seed } = this.#options;
    const random = seededRandom(seed * 1000 + at);
    const ids = tier.members.map(({ id }) => id);
    let connection: TierClient | null = null;
    for (let number = 1; !this.#isOver; number++) {
      const first = Math.floor(random() * ids.length);
      connection ??= tier.client([...ids.slice(first), ...ids.slice(0, first)]);
      const isFine = await this.#operate(connection.control, `client${at + 1}`, number, random);
      // As one who types the next command: a new connection, and another coordinator first.
      if (!isFine || random() < 0.05) {
        connection.close();
        connection = null;
      }
      await delay(random() * 2 * THINK_MS);
    }
    connection?.close();
  }

  /** Returns whether the connection is worth keeping. */
  #operate(control: Control, client: string, number: number, random: Random): Promise<boolean> {
    const value = `${client}.${number}`;
    const chance = random();
    if (chance < 0.08) return this.#grow(control, client, number);
    // More than its segments hold, while one of the members has no room for another.
    if (chance < (this.#options.tier.smallDisk.isFull ? 0.5 : 0.1)) return this.#bulk(control, client);
    const window = windowOf(Math.min(this.nowMs, this.#options.durationMs));
    const registers = registersOf(window);
    const register = registers[Math.floor(random() * registers.length)] as Register;
    const call = { timeoutMs: CALL_MS };
    const node = { cluster: register.kind, addr: register.addr };
    const begin = { client, register, invokeMs: this.nowMs };
    if (chance < 0.45) {
      return this.#record({ ...begin, action: { op: "read", value: null } }, async () => {
        const { nodes } = await control.listNodes(node, call);
        if (register.kind === "overlay") return nodes[0]?.overlayReason ?? "";
        const comment = nodes[0]?.attributes?.["comment"];
        return typeof comment === "string" ? comment : "";
      });
    }
    if (register.kind === "overlay") {
      const isEnd = chance < 0.6;
      return this.#record({ ...begin, action: { op: "write", value: isEnd ? "" : value } }, async () => {
        const intent = isEnd ? "enable" : "maintenance";
        await control.setNodeIntent({ node, intent, reason: isEnd ? "" : value }, call);
        return null;
      });
    }
    if (chance < 0.7) {
      return this.#record({ ...begin, action: { op: "write", value: "" } }, async () => {
        await control.removeNode({ node }, call);
        return null;
      });
    }
    return this.#record({ ...begin, action: { op: "cas", value: ["", value] } }, async () => {
      await control.addNode({ node, attributes: { comment: value } }, call);
      return null;
    });
  }

  /** Notes what was asked and how it ended; `call` gives what was read, or null for a change. */
  async #record(
    begin: {
      readonly client: string;
      readonly register: Register;
      readonly invokeMs: number;
      readonly action: Action;
    },
    call: () => Promise<string | null>,
  ): Promise<boolean> {
    const { client, register, action, invokeMs } = begin;
    const key = keyOf(register);
    const note = (how: Action, outcome: Operation["outcome"]): void => {
      const return_ns = outcome === "unknown" ? null : Math.round(this.nowMs * 1e6);
      this.history.push({ client, key, ...how, invoke_ns: Math.round(invokeMs * 1e6), return_ns, outcome });
    };
    try {
      const read = await call();
      note(action.op === "read" ? { op: "read", value: read } : action, "ok");
      if (action.op !== "read") this.#acknowledged();
      return true;
    } catch (thrown) {
      const code = this.#failed(action.op, thrown);
      // That there is no such node is an answer, too: nothing was there to be read or removed.
      if (register.kind === "node" && code === "NOT_FOUND") note({ op: "read", value: "" }, "ok");
      else note(action, hasNotHappened(thrown) ? "fail" : "unknown");
      return code === "NOT_FOUND" || code === "CONFLICT";
    }
  }

  async #grow(control: Control, client: string, number: number): Promise<boolean> {
    const addr = `${client}-${number}.example:80`;
    try {
      await control.addNode({ node: { cluster: "growing", addr } }, { timeoutMs: CALL_MS });
      this.grown.add(addr);
      this.#acknowledged();
      return true;
    } catch (thrown) {
      this.#failed("grow", thrown);
      return false;
    }
  }

  /** Adds much, and takes it away again. */
  async #bulk(control: Control, client: string): Promise<boolean> {
    const node = { cluster: "bulk", addr: `${client}.example:80` };
    try {
      await control.addNode(
        { node, attributes: BULK_ATTRIBUTES, isIdempotent: true },
        { timeoutMs: CALL_MS },
      );
      await control.removeNode({ node }, { timeoutMs: CALL_MS });
      this.#acknowledged();
      return true;
    } catch (thrown) {
      this.#failed("bulk", thrown);
      return false;
    }
  }

  #acknowledged(): void {
    const { nowMs } = this;
    this.acknowledgedWrites++;
    const { fromMs, toMs } = this.longestGap;
    if (nowMs - this.#lastWriteMs > toMs - fromMs) {
      this.longestGap = { fromMs: this.#lastWriteMs, toMs: nowMs };
    }
    this.#lastWriteMs = nowMs;
  }

  /** @throws what is no answer of a coordinator, but a mistake of ours. */
  #failed(what: string, thrown: unknown): string {
    if (!(thrown instanceof ClusterduckError) || thrown.code === "INVALID_ARGUMENT") throw thrown;
    const key = `${what} ${thrown.code}`;
    this.failures.set(key, (this.failures.get(key) ?? 0) + 1);
    return thrown.code;
  }

  #beginEmpty(register: Register): void {
    const key = keyOf(register);
    this.history.push({
      ...{ client: "setup", key, op: "write", value: "" },
      ...{ invoke_ns: -2, return_ns: -1, outcome: "ok" },
    });
  }
}

function keyOf({ kind, addr }: Register): string {
  return `${kind} ${addr}`;
}

/** Refusals of which the product says that nothing has happened. */
function hasNotHappened(thrown: unknown): boolean {
  if (!(thrown instanceof ClusterduckError)) return false;
  if (isUnsent(thrown)) return true;
  // A leader whose disk became full has perhaps sent it to others already.
  if (thrown.code === "DISK_FULL") return !/may happen/.test(thrown.message);
  return ["CONFLICT", "NOT_FOUND", "NOT_LEADER", "OVERLOADED", "INVALID_ARGUMENT"].includes(thrown.code);
}
