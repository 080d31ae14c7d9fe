/**
 * One member of a raft tier in a process of its own, for tests that kill it and for benches: a log, a map that
 * it fills, and a gRPC service that puts values. `node --import tsx … '{"id":"c1", …}'`. Prints `ready`.
 */
import { Server, ServerCredentials, status } from "@grpc/grpc-js";
import type { sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";
import { systemClock } from "../../common/clock.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import { createLogger } from "../../common/logger.js";
import { systemRandom } from "../../common/random.js";
import { openRaftLog } from "../../coordinator/log/open-raft-log.js";
import { MAX_FRAME_BYTES } from "../../coordinator/log/transport/codec.js";
import { createGrpcTransport } from "../../coordinator/log/transport/grpc-transport.js";
import type { Membership, MembershipChange } from "../../coordinator/raft/membership.js";
import { decodePut, encodePut, KV_PATHS } from "./raft-kv.js";
import type { LoadAnswer, LoadRequest, MemberAnswer } from "./raft-kv.js";

export type MemberOptions = {
  readonly id: string;
  readonly dir: string;
  readonly port: number;
  readonly clientPort: number;
  /** Null: waits to be added. */
  readonly founding: Membership | null;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  /** Entries before a snapshot is taken; 0: none. */
  readonly snapshotEntries: number;
  readonly segmentBytes: number;
};

const options = JSON.parse(process.argv[2] ?? "") as MemberOptions;
const logger = createLogger({
  program: options.id,
  level: process.env["LOG_LEVEL"] === "info" ? "info" : "error",
});
const transport = createGrpcTransport({
  memberId: options.id,
  clusterId: "raft-test",
  tls: null,
  electionMs: options.electionMs,
  clock: systemClock,
  random: systemRandom,
  logger,
});
const address = `127.0.0.1:${options.port}`;
await createGrpcServer({
  listen: { host: "127.0.0.1", port: options.port },
  logger,
  services: [transport.service],
  messageBytesMax: MAX_FRAME_BYTES,
});
const log = await openRaftLog({
  dir: options.dir,
  memberId: options.id,
  address,
  clusterId: "raft-test",
  founding: options.founding,
  clock: systemClock,
  random: systemRandom,
  logger,
  transport,
  timing: { heartbeatMs: options.heartbeatMs, electionMs: options.electionMs },
  segmentBytes: options.segmentBytes,
  reserveBytes: 0,
});

/** Key → value, of all entries applied. */
let values = new Map<string, string>();
let applied = 0;
let sinceSnapshot = 0;
const waiting = new Map<number, () => void>();
void apply();

const server = new Server({ "grpc.max_receive_message_length": -1 });
const raw = {
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
};
server.addService(
  {
    put: { path: KV_PATHS.put, ...raw },
    ask: { path: KV_PATHS.ask, ...raw },
    change: { path: KV_PATHS.change, ...raw },
    load: { path: KV_PATHS.load, ...raw },
  },
  { put: answering(put), ask: answering(ask), change: answering(change), load: answering(load) },
);
await new Promise<void>((resolve, reject) => {
  server.bindAsync(`127.0.0.1:${options.clientPort}`, ServerCredentials.createInsecure(), (error) =>
    error === null ? resolve() : reject(error),
  );
});
process.stdout.write("ready\n");

process.once("SIGTERM", () => {
  void log.close().then(() => process.exit(0));
});

async function put(request: Buffer): Promise<Buffer> {
  const { index } = await log.propose(request);
  if (applied < index) await new Promise<void>((resolve) => waiting.set(index, resolve));
  return Buffer.alloc(0);
}

async function load(request: Buffer): Promise<Buffer> {
  const { callers, seconds, valueBytes } = JSON.parse(request.toString()) as LoadRequest;
  const latenciesMs: number[] = [];
  const endsAtMs = performance.now() + seconds * 1_000;
  const call = async (id: number): Promise<void> => {
    while (performance.now() < endsAtMs) {
      const startedAtMs = performance.now();
      await put(encodePut(`key-${id}`, "x".repeat(valueBytes)));
      latenciesMs.push(performance.now() - startedAtMs);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, id) => call(id)));
  // A sample is enough for quantiles, and short enough to send.
  const step = Math.max(1, Math.floor(latenciesMs.length / 1_000));
  const answer: LoadAnswer = {
    writes: latenciesMs.length,
    latenciesMs: latenciesMs.filter((_, at) => at % step === 0),
  };
  return Buffer.from(JSON.stringify(answer));
}

async function change(request: Buffer): Promise<Buffer> {
  await log.changeMembership(JSON.parse(request.toString()) as MembershipChange);
  return Buffer.alloc(0);
}

async function ask(request: Buffer): Promise<Buffer> {
  const question = JSON.parse(request.toString()) as { readonly want: "status" | "values" };
  if (question.want === "values") {
    const index = await log.readBarrier();
    while (applied < index) await new Promise<void>((resolve) => setTimeout(resolve, 2));
  }
  const answer: MemberAnswer =
    question.want === "values" ? { values: [...values] } : { status: log.status(), members: log.members() };
  return Buffer.from(JSON.stringify(answer));
}

function answering(work: (request: Buffer) => Promise<Buffer>) {
  return (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): void => {
    work(call.request).then(
      (answer) => callback(null, answer),
      (thrown: unknown) => {
        const code = thrown instanceof ClusterduckError ? thrown.code : "UNKNOWN";
        callback({ code: status.UNAVAILABLE, details: `${code}: ${messageOf(thrown)}` });
      },
    );
  };
}

async function apply(): Promise<void> {
  for (;;) {
    try {
      for await (const { index, term, payload } of log.entries(applied, new AbortController().signal)) {
        if (payload.length > 0) {
          const { key, value } = decodePut(payload);
          values.set(key, value);
        }
        applied = index;
        waiting.get(index)?.();
        waiting.delete(index);
        if (options.snapshotEntries > 0 && ++sinceSnapshot >= options.snapshotEntries) {
          sinceSnapshot = 0;
          const data = Buffer.from(JSON.stringify([...values]));
          await log.saveSnapshot({ last: { index, term }, data });
        }
      }
      return;
    } catch (thrown) {
      if (!(thrown instanceof ClusterduckError && thrown.code === "CONFLICT")) {
        logger.error("member.failed", { error: thrown });
        process.exit(1);
      }
      const snapshot = await log.loadSnapshot();
      if (snapshot === null) throw thrown;
      values = new Map(JSON.parse(Buffer.from(snapshot.data).toString()) as [string, string][]);
      applied = snapshot.last.index;
      for (const [index, wake] of waiting) if (index <= applied) wake();
    }
  }
}
