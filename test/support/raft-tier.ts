/** A raft tier whose members are processes of their own, on loopback and real disks. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { RaftLogStatus } from "../../coordinator/log/raft-log-status.js";
import type { Membership, MembershipChange } from "../../coordinator/raft/membership.js";
import { freePorts } from "./free-port.js";
import { encodePut, KV_PATHS, RawClient } from "./raft-kv.js";
import type { LoadAnswer, LoadRequest } from "./raft-kv.js";
import type { MemberOptions } from "./raft-member-program.js";

const PROGRAM = ["--import", "tsx", fileURLToPath(new URL("raft-member-program.ts", import.meta.url))];

export type TierOptions = {
  readonly size: number;
  readonly heartbeatMs?: number;
  readonly electionMs?: number;
  readonly snapshotEntries?: number;
  readonly segmentBytes?: number;
  /** What `node` is to run for a member. Default: the program's source, through tsx. */
  readonly program?: readonly string[];
  /** Where the data directories are made. Default: the system's folder for temporary files. */
  readonly parent?: string;
};

export class TierMember {
  readonly id: string;
  readonly options: MemberOptions;
  readonly client: RawClient;
  #child: ChildProcess | null = null;
  #exited: Promise<unknown> = Promise.resolve();
  /** What it has written to its standard error since its last start. */
  errors = "";

  readonly #program: readonly string[];

  constructor(options: MemberOptions, program: readonly string[]) {
    this.id = options.id;
    this.#program = program;
    this.options = options;
    this.client = new RawClient(`127.0.0.1:${options.clientPort}`);
  }

  /** Null while it does not run. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get isRunning(): boolean {
    return this.#child !== null;
  }

  /** @throws Error with what it wrote when it ends before it is ready. */
  async start(founding: Membership | null = this.options.founding): Promise<void> {
    const options: MemberOptions = { ...this.options, founding };
    const child = spawn(process.execPath, [...this.#program, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.errors = "";
    child.stderr.on("data", (text: Buffer) => (this.errors += text.toString()));
    this.#exited = once(child, "exit").then(() => (this.#child = null));
    const isReady = new Promise<boolean>((resolve) => {
      createInterface({ input: child.stdout }).once("line", () => resolve(true));
    });
    const isUp = await Promise.race([isReady, this.#exited.then(() => false)]);
    if (!isUp) throw new Error(`Member ${this.id} ended: ${this.errors}`);
  }

  signal(name: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(name);
  }

  async kill(name: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    this.signal(name);
    await this.#exited;
  }

  put(key: string, value: string, timeoutMs?: number): Promise<Buffer> {
    return this.client.call(KV_PATHS.put, encodePut(key, value), timeoutMs);
  }

  /** Null when it does not answer. */
  async status(): Promise<RaftLogStatus | null> {
    try {
      return (await this.client.ask("status", 1_000)).status ?? null;
    } catch {
      return null;
    }
  }

  /** Changes the members by one step, asking again for as long as it cannot be yet. */
  async change(change: MembershipChange, limitMs = 20_000): Promise<void> {
    const deadlineMs = performance.now() + limitMs;
    for (;;) {
      try {
        await this.client.call(KV_PATHS.change, Buffer.from(JSON.stringify(change)));
        return;
      } catch (thrown) {
        if (performance.now() > deadlineMs) throw thrown;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Load from inside the member's own process, as its own decisions are. */
  async load(request: LoadRequest): Promise<LoadAnswer> {
    const timeoutMs = request.seconds * 1_000 + 30_000;
    const answer = await this.client.call(KV_PATHS.load, Buffer.from(JSON.stringify(request)), timeoutMs);
    return JSON.parse(answer.toString()) as LoadAnswer;
  }

  async values(): Promise<ReadonlyMap<string, string>> {
    return new Map((await this.client.ask("values")).values);
  }
}

export class RaftTier {
  readonly directory: string;
  readonly members: TierMember[];

  private constructor(directory: string, members: TierMember[]) {
    this.directory = directory;
    this.members = members;
  }

  static async start(options: TierOptions): Promise<RaftTier> {
    const directory = await mkdtemp(join(options.parent ?? tmpdir(), "duck-tier-"));
    const ports = await freePorts(options.size * 2 + 2);
    const founding = Array.from({ length: options.size }, (_, at) => ({
      id: `c${at + 1}`,
      role: "voter" as const,
      address: `127.0.0.1:${ports[at * 2] ?? 0}`,
    }));
    const members = Array.from({ length: options.size + 1 }, (_, at) => {
      const id = `c${at + 1}`;
      return new TierMember(
        {
          id,
          dir: join(directory, id),
          port: ports[at * 2] ?? 0,
          clientPort: ports[at * 2 + 1] ?? 0,
          founding,
          heartbeatMs: options.heartbeatMs ?? 100,
          electionMs: options.electionMs ?? 1_000,
          snapshotEntries: options.snapshotEntries ?? 0,
          segmentBytes: options.segmentBytes ?? 8 * 1024 * 1024,
        },
        options.program ?? PROGRAM,
      );
    });
    // The last one is no member yet.
    const tier = new RaftTier(directory, members);
    await Promise.all(members.slice(0, options.size).map((member) => member.start()));
    return tier;
  }

  member(id: string): TierMember {
    const found = this.members.find((member) => member.id === id);
    if (found === undefined) throw new Error(`There is no member ${id}`);
    return found;
  }

  /** The member that leads in the latest term, as it says itself. @throws Error when nobody does for long. */
  async leader(limitMs = 15_000): Promise<TierMember> {
    const deadlineMs = performance.now() + limitMs;
    for (;;) {
      const statuses = await Promise.all(
        this.members
          .filter(({ isRunning }) => isRunning)
          .map(async (member) => ({ member, status: await member.status() })),
      );
      const leading = statuses
        .filter(({ status }) => status?.role === "leader")
        .sort((left, right) => (right.status?.term ?? 0) - (left.status?.term ?? 0));
      if (leading[0] !== undefined) return leading[0].member;
      if (performance.now() > deadlineMs) throw new Error(`Nobody leads: ${JSON.stringify(statuses)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async close(): Promise<void> {
    for (const member of this.members) {
      member.signal("SIGCONT");
      await member.kill();
      member.client.close();
    }
    await rm(this.directory, { recursive: true, force: true, maxRetries: 20 });
  }
}
