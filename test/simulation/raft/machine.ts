import type { Entry } from "../../../coordinator/raft/entry.js";
import type { Value } from "../../support/linearizability/history.js";

/** A change as it stands in the log. `client` and `sequence` make a repeated one recognisable. */
export type Command = {
  readonly client: string;
  readonly sequence: number;
  readonly key: string;
} & (
  | { readonly op: "write" | "append"; readonly value: string }
  | { readonly op: "cas"; readonly value: readonly [string | null, string] }
);

/** False: a compare and set found something else. */
export type Result = boolean;

type Session = { readonly sequence: number; readonly result: Result };
type Content = { values: Record<string, Value>; sessions: Record<string, Session> };

/** A replicated store of registers and lists, which applies a repeated command of a client once. */
export class Machine {
  #content: Content = { values: {}, sessions: {} };
  appliedIndex = 0;

  apply(entry: Entry): Result {
    this.appliedIndex = entry.index;
    if (entry.kind !== "command") return true;
    const command = decodeCommand(entry.payload);
    const session = this.#content.sessions[command.client];
    if (session !== undefined && session.sequence >= command.sequence) return session.result;
    const result = this.#run(command);
    this.#content.sessions[command.client] = { sequence: command.sequence, result };
    return result;
  }

  read(key: string): Value {
    return this.#content.values[key] ?? null;
  }

  save(): Uint8Array {
    return new TextEncoder().encode(JSON.stringify({ index: this.appliedIndex, ...this.#content }));
  }

  restore(data: Uint8Array): void {
    const { index, values, sessions } = JSON.parse(new TextDecoder().decode(data)) as Content & {
      index: number;
    };
    this.#content = { values, sessions };
    this.appliedIndex = index;
  }

  /** Equal text: equal content. */
  digest(): string {
    const sorted = (map: object): unknown => Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
    return JSON.stringify([sorted(this.#content.values), sorted(this.#content.sessions)]);
  }

  #run(command: Command): Result {
    const { values } = this.#content;
    const before = values[command.key] ?? null;
    switch (command.op) {
      case "write":
        values[command.key] = command.value;
        return true;
      case "append":
        values[command.key] = [
          ...(Array.isArray(before) ? (before as readonly string[]) : []),
          command.value,
        ];
        return true;
      case "cas":
        if (before !== command.value[0]) return false;
        values[command.key] = command.value[1];
        return true;
    }
  }
}

export function encodeCommand(command: Command): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(command));
}

export function decodeCommand(payload: Uint8Array): Command {
  return JSON.parse(new TextDecoder().decode(payload)) as Command;
}
