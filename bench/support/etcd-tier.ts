/** An etcd of three members on loopback, called through the same gRPC library as our members. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../../test/support/free-port.js";
import { RawClient } from "../../test/support/raft-kv.js";

const PUT = "/etcdserverpb.KV/Put";
const STATUS = "/etcdserverpb.Maintenance/Status";

export type EtcdOptions = {
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly parent?: string;
};

class EtcdMember {
  readonly name: string;
  readonly client: RawClient;
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;
  #exited: Promise<unknown> = Promise.resolve();

  constructor(name: string, clientPort: number, args: readonly string[]) {
    this.name = name;
    this.client = new RawClient(`127.0.0.1:${clientPort}`);
    this.#args = args;
  }

  /** Null while it does not run. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get isRunning(): boolean {
    return this.#child !== null;
  }

  start(): void {
    const child = spawn("etcd", this.#args, {
      stdio: "ignore",
      env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch },
    });
    this.#child = child;
    this.#exited = once(child, "exit").then(() => (this.#child = null));
  }

  signal(name: "SIGKILL" | "SIGTERM"): void {
    this.#child?.kill(name);
  }

  async kill(name: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    this.signal(name);
    await this.#exited;
  }

  put(key: string, value: string, timeoutMs?: number): Promise<Buffer> {
    const request = Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))]);
    return this.client.call(PUT, request, timeoutMs);
  }

  async isLeader(): Promise<boolean> {
    try {
      const { leader, self } = readStatus(await this.client.call(STATUS, Buffer.alloc(0), 500));
      return leader !== "" && leader === self;
    } catch {
      return false;
    }
  }
}

export class EtcdTier {
  readonly members: readonly EtcdMember[];
  readonly #directory: string;

  private constructor(directory: string, members: readonly EtcdMember[]) {
    this.#directory = directory;
    this.members = members;
  }

  static async start(options: EtcdOptions): Promise<EtcdTier> {
    const directory = await mkdtemp(join(options.parent ?? tmpdir(), "duck-etcd-"));
    const ports = await freePorts(6);
    const peerUrl = (at: number): string => `http://127.0.0.1:${ports[at * 2] ?? 0}`;
    const clientUrl = (at: number): string => `http://127.0.0.1:${ports[at * 2 + 1] ?? 0}`;
    const names = ["e0", "e1", "e2"];
    const cluster = names.map((name, at) => `${name}=${peerUrl(at)}`).join(",");
    const members = names.map(
      (name, at) =>
        new EtcdMember(name, ports[at * 2 + 1] ?? 0, [
          ...["--name", name, "--data-dir", join(directory, name), "--logger", "zap", "--log-level", "error"],
          ...["--listen-peer-urls", peerUrl(at), "--initial-advertise-peer-urls", peerUrl(at)],
          ...["--listen-client-urls", clientUrl(at), "--advertise-client-urls", clientUrl(at)],
          ...["--initial-cluster", cluster, "--initial-cluster-state", "new", "--pre-vote"],
          ...[
            "--heartbeat-interval",
            String(options.heartbeatMs),
            "--election-timeout",
            String(options.electionMs),
          ],
        ]),
    );
    for (const member of members) member.start();
    const tier = new EtcdTier(directory, members);
    await tier.leader();
    return tier;
  }

  async leader(limitMs = 30_000): Promise<EtcdMember> {
    const deadlineMs = performance.now() + limitMs;
    for (;;) {
      for (const member of this.members) if (member.isRunning && (await member.isLeader())) return member;
      if (performance.now() > deadlineMs) throw new Error("No etcd member leads");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async close(): Promise<void> {
    for (const member of this.members) {
      await member.kill();
      member.client.close();
    }
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 20 });
  }
}

/** A length-delimited field of a protobuf message. */
function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

/** StatusResponse: header (1) with member_id (2), and leader (4); both 64-bit, so they stay text. */
function readStatus(bytes: Buffer): { readonly leader: string; readonly self: string } {
  const top = readFields(bytes);
  const header = readFields(top.get(1)?.content ?? Buffer.alloc(0));
  return { leader: top.get(4)?.value.toString() ?? "", self: header.get(2)?.value.toString() ?? "" };
}

type Field = { readonly value: bigint; readonly content: Buffer };

function readFields(bytes: Buffer): ReadonlyMap<number, Field> {
  const fields = new Map<number, Field>();
  let at = 0;
  const next = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(next());
    const value = next();
    if ((tag & 7) === 2) {
      fields.set(tag >> 3, { value, content: bytes.subarray(at, at + Number(value)) });
      at += Number(value);
    } else {
      fields.set(tag >> 3, { value, content: Buffer.alloc(0) });
    }
  }
  return fields;
}
