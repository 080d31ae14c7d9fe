import type { Random } from "../../../common/random.js";
import type { Action, Operation, Value } from "../../support/linearizability/history.js";
import type { Timeline } from "../health/timeline.js";
import type { Command, Result } from "./machine.js";

/** How one attempt ended. `refused` and `lost`: it has not happened and never will. */
export type Attempt<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "refused" | "lost" | "unknown"; readonly leaderId: string | null };

/** The tier as its clients see it. An answer may never come. */
export interface Service {
  readonly memberIds: () => readonly string[];
  submit(memberId: string, command: Command, answer: (attempt: Attempt<Result>) => void): void;
  read(memberId: string, key: string, answer: (attempt: Attempt<Value>) => void): void;
}

export type ClientOptions = {
  readonly id: string;
  readonly timeline: Pick<Timeline, "nowMs" | "in">;
  readonly random: Random;
  readonly service: Service;
  readonly history: Operation[];
  readonly keys: readonly string[];
  readonly thinkMs: number;
  /** Waiting for one attempt, and for all of one operation. */
  readonly attemptMs: number;
  readonly operationMs: number;
};

const RETRY_MS = 5;

/**
 * One caller: one operation at a time, repeated under the same sequence number until it is answered or
 * given up. Keys that begin with "l" are lists.
 */
export class Client {
  /** Operations that were acknowledged. */
  acknowledged = 0;
  readonly #options: ClientOptions;
  #sequence = 0;
  #values = 0;
  #target: string | null = null;
  #isStopped = false;
  #giveUp: (() => void) | null = null;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  start(): void {
    this.#think();
  }

  /** Begins nothing more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** The history ends here: what is under way may have happened or not. */
  end(): void {
    this.stop();
    this.#giveUp?.();
  }

  #think(): void {
    const { timeline, random, thinkMs } = this.#options;
    timeline.in(random() * 2 * thinkMs, () => {
      if (!this.#isStopped) this.#begin(this.#choose());
    });
  }

  #choose(): { readonly key: string; readonly action: Action } {
    const { random, keys, id, history } = this.#options;
    const key = keys[Math.floor(random() * keys.length)] ?? "";
    const chance = random();
    if (chance < 0.4) return { key, action: { op: "read", value: null } };
    const value = `${id}.${++this.#values}`;
    if (key.startsWith("l")) return { key, action: { op: "append", value } };
    if (chance < 0.85) return { key, action: { op: "write", value } };
    const seen = history.findLast((each) => each.key === key && each.op !== "cas")?.value ?? null;
    return { key, action: { op: "cas", value: [typeof seen === "string" ? seen : null, value] } };
  }

  #begin({ key, action }: { readonly key: string; readonly action: Action }): void {
    const { timeline, history, id, attemptMs, operationMs } = this.#options;
    const begunMs = timeline.nowMs;
    const sequence = ++this.#sequence;
    let mayHaveHappened = false;
    let open = 0;
    const end = (outcome: Operation["outcome"], value: unknown = action.value): void => {
      open = -1;
      this.#giveUp = null;
      if (outcome === "ok") this.acknowledged++;
      history.push({
        client: id,
        key,
        ...action,
        value,
        invoke_ns: Math.round(begunMs * 1e6),
        return_ns: outcome === "unknown" ? null : Math.round(timeline.nowMs * 1e6),
        outcome,
      } as Operation);
      this.#think();
    };
    const attempt = (): void => {
      if (open < 0) return;
      if (timeline.nowMs - begunMs > operationMs || this.#isStopped) {
        end(mayHaveHappened ? "unknown" : "fail");
        return;
      }
      const number = ++open;
      const memberId = this.#pick();
      const isCurrent = (): boolean => open === number;
      const again = (delayMs: number): void => timeline.in(delayMs, () => isCurrent() && attempt());
      const answer = (result: Attempt<Result | Value>): void => {
        if (open < 0) return;
        if (result.kind === "done") {
          // A compare and set that found something else says nothing of which attempt found it.
          if (action.op === "cas" && result.value === false) end("fail");
          else end("ok", action.op === "read" ? result.value : action.value);
          return;
        }
        if (result.kind !== "unknown") undecided--;
        if (!isCurrent()) return;
        this.#target = result.leaderId === memberId ? null : result.leaderId;
        mayHaveHappened = undecided > 0;
        again(RETRY_MS);
      };
      undecided++;
      mayHaveHappened = true;
      this.#send(memberId, key, action, sequence, answer);
      timeline.in(attemptMs, () => {
        if (!isCurrent()) return;
        this.#target = null;
        attempt();
      });
    };
    let undecided = 0;
    this.#giveUp = () => end(mayHaveHappened ? "unknown" : "fail");
    attempt();
  }

  #send(
    memberId: string,
    key: string,
    action: Action,
    sequence: number,
    answer: (attempt: Attempt<Result | Value>) => void,
  ): void {
    const { service, id: client } = this.#options;
    if (action.op === "read") service.read(memberId, key, answer);
    else service.submit(memberId, { client, sequence, key, ...action }, answer);
  }

  #pick(): string {
    const { service, random } = this.#options;
    const ids = service.memberIds();
    if (this.#target !== null && ids.includes(this.#target) && random() < 0.8) return this.#target;
    return ids[Math.floor(random() * ids.length)] ?? "";
  }
}
