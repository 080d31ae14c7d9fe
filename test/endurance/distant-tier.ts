/** Coordinators as processes, each on a host (network namespace) of its own; one has a small disk of its own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createTierClient } from "../../cli/tier-client.js";
import type { TierClient } from "../../cli/tier-client.js";
import { createNetwork } from "../support/netns.js";
import type { Network } from "../support/netns.js";
import { runProgram } from "../support/program.js";
import type { RunningProgram } from "../support/program.js";
import { createTlsTier } from "../support/tls.js";
import { removeOrphanedDisks, SmallDisk } from "./small-disk.js";

export type DistantTierOptions = {
  readonly size: number;
  /** The section `clusters` of the configuration. */
  readonly clusters: string;
  /** Entries between two snapshots: few, so that whoever was away comes back by one. */
  readonly snapshotEntries: number;
  /** The member whose disk can become full. */
  readonly smallDiskOf: string;
};

export type DistantTier = {
  readonly members: readonly DistantMember[];
  readonly network: Network;
  readonly smallDisk: SmallDisk;
  /** Whose data lies there. */
  readonly onSmallDisk: DistantMember;
  /** Asks the named members, as duckctl does with `--server` naming them in this order. */
  readonly client: (ids: readonly string[], isStale?: boolean) => TierClient;
  /** Whoever leads in the newest term that anybody knows; null: nobody. */
  readonly leader: () => Promise<DistantMember | null>;
  readonly close: () => Promise<void>;
};

const GRPC_PORT = 7400;
const RAFT_PORT = 9910;
/** Six segments and what must stay free beside them. */
const SMALL_DISK_MIB = 80;
const ASK_MS = 800;

export function idsOf(size: number): readonly string[] {
  return Array.from({ length: size }, (_, at) => `c${at + 1}`);
}

/** Resolves when all processes are begun; they still have to find each other. */
export async function startDistantTier(options: DistantTierOptions): Promise<DistantTier> {
  const ids = idsOf(options.size);
  removeOrphanedDisks();
  const folder = mkdtempSync(join(tmpdir(), `duck-distant-${process.pid}-`));
  const closers: (() => Promise<void> | void)[] = [
    () => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }),
  ];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const network = await createNetwork(ids);
    closers.push(() => network.close());
    const authority = await createTlsTier("endurance");
    closers.push(() => authority.remove());
    const tls = await authority.open(await authority.issue("client", "tester"), "client");
    closers.push(() => tls.close());
    const smallDisk = new SmallDisk(join(folder, options.smallDiskOf, "disk"), SMALL_DISK_MIB);
    smallDisk.mount();
    closers.push(() => smallDisk.unmount());
    const bootstrap = ids.map((id) => `${network.addressOf(id)}:${RAFT_PORT}`);
    const members: DistantMember[] = [];
    for (const id of ids) {
      const address = network.addressOf(id);
      const files = await authority.issue("member", id, { hosts: [address] });
      const home = join(folder, id);
      mkdirSync(home, { recursive: true });
      const dataDir = id === options.smallDiskOf ? join(smallDisk.path, "data") : join(home, "data");
      const file = join(home, "clusterduck.yaml");
      writeFileSync(
        file,
        `${options.clusters}
coordinator:
  id: ${id}
  data_dir: ${dataDir}
  listen: "${address}:${GRPC_PORT}"
  http: off
  snapshot_entries: ${options.snapshotEntries}
  tls: ${JSON.stringify(files)}
transports:
  - {type: raft, address: "${address}:${RAFT_PORT}", bootstrap: ${JSON.stringify(bootstrap)}}
`,
      );
      members.push(new DistantMember({ id, file, dataDir, before: network.on(id) }));
    }
    closers.push(async () => void (await Promise.all(members.map((member) => member.kill()))));
    const servers = new Map(ids.map((id) => [id, `${network.addressOf(id)}:${GRPC_PORT}`]));
    const client: DistantTier["client"] = (asked, isStale = false) =>
      createTierClient({ servers: asked.flatMap((id) => servers.get(id) ?? []), tls }, isStale);
    const onSmallDisk = members.find(({ id }) => id === options.smallDiskOf);
    if (onSmallDisk === undefined) throw new Error(`No member ${options.smallDiskOf}`);
    for (const member of members) member.launch();
    return {
      members,
      network,
      smallDisk,
      onSmallDisk,
      client,
      leader: () => findLeader(members, client),
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

async function findLeader(
  members: readonly DistantMember[],
  client: DistantTier["client"],
): Promise<DistantMember | null> {
  const views = await Promise.all(
    members.map(async ({ id }) => {
      const asking = client([id], true);
      try {
        return await asking.control.listCoordinators({}, { timeoutMs: ASK_MS });
      } catch {
        return null;
      } finally {
        asking.close();
      }
    }),
  );
  const known = views.filter((view) => view !== null && view.leaderId !== "");
  const newest = known.sort((left, right) => Number((right?.term ?? 0n) - (left?.term ?? 0n)))[0];
  return members.find(({ id }) => id === newest?.leaderId) ?? null;
}

type MemberOptions = {
  readonly id: string;
  readonly file: string;
  readonly dataDir: string;
  readonly before: readonly string[];
};

/** One coordinator, whatever happens to its process. */
export class DistantMember {
  readonly id: string;
  readonly dataDir: string;
  readonly #options: MemberOptions;
  /** Ends that nobody asked for, with the last words. */
  readonly troubles: string[] = [];
  /** Starts that ended with a word about the full disk. */
  refusals = 0;
  readonly #programs: RunningProgram[] = [];
  #program: RunningProgram | null = null;
  #isWanted = false;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.id = options.id;
    this.dataDir = options.dataDir;
  }

  get isRunning(): boolean {
    return this.#program !== null;
  }

  launch(): void {
    if (this.#program !== null) return;
    const { file, before } = this.#options;
    const program = runProgram("duck-coordinator", ["-c", file], process.env, before);
    this.#program = program;
    this.#programs.push(program);
    this.#isWanted = true;
    void program.ended.then((code) => {
      if (this.#program !== program) return;
      this.#program = null;
      if (!this.#isWanted) return;
      const hasStarted = program.events.some(({ event }) => event === "coordinator.started");
      if (!hasStarted && /no space (is )?left|bytes are free/.test(program.text())) {
        this.refusals++;
        return;
      }
      const last = program.events.slice(-5).map((line) => JSON.stringify(line));
      this.troubles.push(`${this.id} ended with ${code}:\n${program.text()}${last.join("\n")}`);
    });
  }

  /** Resolves when it works, or does not within `limitMs`: a busy machine takes its time. */
  async started(limitMs: number): Promise<void> {
    const deadlineMs = performance.now() + limitMs;
    const isUp = (): boolean =>
      this.#program?.events.some(({ event }) => event === "coordinator.started") === true;
    while (this.isRunning && !isUp() && performance.now() < deadlineMs) await delay(50);
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#program?.signal(signal);
  }

  /** SIGKILL, as when the host loses its power; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#isWanted = false;
    const program = this.#program;
    this.#program = null;
    await program?.kill();
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    this.#isWanted = false;
    const program = this.#program;
    program?.signal("SIGTERM");
    return (await program?.ended) ?? null;
  }

  /** All that its processes have said, oldest first, as lines. */
  words(): string {
    return this.#programs
      .map(({ pid, events, text }) => {
        const lines = events.map((line) => `${JSON.stringify(line)}\n`);
        return `process ${pid}\n${text()}${lines.join("")}`;
      })
      .join("");
  }

  /** How often its processes have told this. */
  count(event: string): number {
    return this.#programs.reduce(
      (sum, { events }) => sum + events.filter((line) => line.event === event).length,
      0,
    );
  }
}
