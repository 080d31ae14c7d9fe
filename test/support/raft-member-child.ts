/** A member of a tier in a process of its own, with a store of registers and lists. Lines of JSON in and out. */
import { createInterface } from "node:readline";
import { systemClock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { silentLogger } from "../../common/logger.js";
import { systemRandom } from "../../common/random.js";
import { openRaftLog } from "../../coordinator/log/open-raft-log.js";
import type { LogEntry } from "../../coordinator/log/replicated-log.js";
import { createGrpcTransport } from "../../coordinator/log/transport/grpc-transport.js";
import type { Membership } from "../../coordinator/raft/membership.js";
import { encodeCommand, Machine } from "../simulation/raft/machine.js";
import type { Command, Result } from "../simulation/raft/machine.js";
import type { Value } from "./linearizability/history.js";

export type MemberRequest = { readonly id: number } & (
  { readonly command: Command } | { readonly key: string }
);
export type MemberReply =
  | { readonly id: "ready" }
  | { readonly id: number; readonly value: Result | Value }
  /** `hasNotHappened`: it never will, either. */
  | { readonly id: number; readonly code: string; readonly hasNotHappened: boolean };

const TIMING = { heartbeatMs: 50, electionMs: 500 };
const SNAPSHOT_ENTRIES = 200;

const [dir = "", memberId = "", port = "", members = "[]"] = process.argv.slice(2);
const founding = JSON.parse(members) as Membership;
const machine = new Machine();
const waiting: { readonly index: number; readonly resolve: () => void }[] = [];
/** Results of the latest commands, by index. */
const results = new Map<number, Result>();

const transport = createGrpcTransport({
  memberId,
  clusterId: "t",
  tls: null,
  electionMs: TIMING.electionMs,
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
});
await createGrpcServer({
  listen: { host: "127.0.0.1", port: Number(port) },
  logger: silentLogger,
  services: [transport.service],
});
const log = await openRaftLog({
  dir,
  memberId,
  clusterId: "t",
  address: `127.0.0.1:${port}`,
  founding,
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
  transport,
  timing: TIMING,
  segmentBytes: 256 * 1024,
  reserveBytes: 0,
});
void apply();
send({ id: "ready" });
createInterface({ input: process.stdin }).on(
  "line",
  (line) => void answer(JSON.parse(line) as MemberRequest),
);

async function answer(request: MemberRequest): Promise<void> {
  const { id } = request;
  try {
    if ("key" in request) {
      await appliedUpTo(await log.readBarrier());
      send({ id, value: machine.read(request.key) });
      return;
    }
    const { index } = await log.propose(encodeCommand(request.command));
    await appliedUpTo(index);
    const value = results.get(index);
    // A snapshot from the leader can hold the command: what it led to is then not known here.
    if (value === undefined) send({ id, code: "UNKNOWN", hasNotHappened: false });
    else send({ id, value });
  } catch (thrown) {
    const code = thrown instanceof ClusterduckError ? thrown.code : String(thrown);
    send({ id, code, hasNotHappened: "key" in request || code === "NOT_LEADER" });
  }
}

/** Applies what is committed, from the newest snapshot on; begins anew where one has replaced the entries. */
async function apply(): Promise<void> {
  for (;;) {
    const snapshot = await log.loadSnapshot();
    if (snapshot !== null && snapshot.last.index > machine.appliedIndex) {
      machine.restore(snapshot.data);
      wake();
    }
    let base = snapshot?.last.index ?? 0;
    try {
      for await (const entry of log.entries(machine.appliedIndex, new AbortController().signal)) {
        applyOne(entry);
        if (entry.index - base < SNAPSHOT_ENTRIES) continue;
        base = entry.index;
        await log.saveSnapshot({ last: { index: entry.index, term: entry.term }, data: machine.save() });
      }
      return;
    } catch (thrown) {
      if (!(thrown instanceof ClusterduckError && thrown.code === "CONFLICT")) throw thrown;
    }
  }
}

function applyOne({ index, term, payload }: LogEntry): void {
  const kind = payload.length === 0 ? "noop" : "command";
  results.set(index, machine.apply({ index, term, kind, payload }));
  results.delete(index - 10_000);
  wake();
}

function wake(): void {
  for (let at = waiting.length - 1; at >= 0; at--) {
    const each = waiting[at];
    if (each === undefined || each.index > machine.appliedIndex) continue;
    waiting.splice(at, 1);
    each.resolve();
  }
}

async function appliedUpTo(index: number): Promise<void> {
  if (machine.appliedIndex < index) await new Promise<void>((resolve) => waiting.push({ index, resolve }));
}

function send(reply: MemberReply): void {
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
