/** The small service of `raft-member-program.ts`, from both sides. */
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { RaftLogStatus } from "../../coordinator/log/raft-log-status.js";

export const KV_PATHS = {
  put: "/duck.test.Kv/Put",
  ask: "/duck.test.Kv/Ask",
  change: "/duck.test.Kv/Change",
  load: "/duck.test.Kv/Load",
} as const;

/** Callers inside of a member that propose one value after the other. */
export type LoadRequest = { readonly callers: number; readonly seconds: number; readonly valueBytes: number };
export type LoadAnswer = { readonly writes: number; readonly latenciesMs: readonly number[] };

export type MemberAnswer = {
  readonly status?: RaftLogStatus;
  readonly members?: readonly string[];
  readonly values?: readonly (readonly [string, string])[];
};

/** Key and value with a newline between them. */
export function encodePut(key: string, value: string): Buffer {
  return Buffer.from(`${key}\n${value}`);
}

export function decodePut(payload: Uint8Array): { readonly key: string; readonly value: string } {
  const text = Buffer.from(payload).toString();
  const at = text.indexOf("\n");
  return { key: text.slice(0, at), value: text.slice(at + 1) };
}

/** A client for unary calls with bytes in and out; also for etcd, so that both are called alike. */
export class RawClient {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      "grpc.enable_retries": 0,
      "grpc.enable_http_proxy": 0,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 20,
      "grpc.max_reconnect_backoff_ms": 100,
    });
  }

  call(path: string, request: Buffer, timeoutMs = 5_000, metadata = new Metadata()): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          if (error !== null) reject(error);
          else resolve(answer ?? Buffer.alloc(0));
        },
      );
    });
  }

  async ask(want: "status" | "values", timeoutMs?: number): Promise<MemberAnswer> {
    // A member that was only just started again is not taken for dead because it was.
    const metadata = new Metadata({ waitForReady: true });
    const answer = await this.call(KV_PATHS.ask, Buffer.from(JSON.stringify({ want })), timeoutMs, metadata);
    return JSON.parse(answer.toString()) as MemberAnswer;
  }

  close(): void {
    this.#client.close();
  }
}
