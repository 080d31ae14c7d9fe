/** Three (or more) real duck-coordinator processes on loopback that are one tier, and a duckctl that asks them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

import { atEnd } from "./at-end.js";
import { temporaryFolder } from "./coordinator-program.js";
import { runDuckctl } from "./duckctl.js";
import type { CliResult } from "./duckctl.js";
import { freePorts } from "./free-port.js";
import { runProgram } from "./program.js";
import type { RunningProgram } from "./program.js";
import type { TestTlsTier } from "./tls.js";

export type TierProcess = {
  readonly id: string;
  readonly folder: string;
  readonly file: string;
  readonly grpc: string;
  readonly raft: string;
  readonly http: string;
  /** The newest start. */
  readonly program: () => RunningProgram;
  /** Resolves when it answers on all its addresses. */
  readonly start: () => Promise<void>;
  /** Without waiting for anything. */
  readonly launch: () => RunningProgram;
};

export type CoordinatorTier = {
  readonly folder: string;
  readonly members: readonly TierProcess[];
  readonly of: (id: string) => TierProcess;
  /** Asks whoever answers. */
  readonly duckctl: (...args: readonly string[]) => Promise<CliResult>;
  /** Asks one member only. */
  readonly ask: (id: string, ...args: readonly string[]) => Promise<CliResult>;
  readonly leader: (among?: readonly string[]) => Promise<TierProcess>;
  /** Resolves when somebody leads and the configuration is taken. */
  readonly settled: () => Promise<void>;
  /** Another coordinator's folder, configuration and addresses; it is not started. */
  readonly prepare: (id: string, wish?: { readonly bootstrap?: readonly string[] }) => Promise<TierProcess>;
};

/** The machine that tests is busy. */
export const DEADLINE_MS = 60_000;

export type CoordinatorTierOptions = {
  readonly size?: number;
  /** All but the sections `coordinator` and `transports`; `FOLDER` stands for the tier's own folder. */
  readonly yaml: string;
  /** Default: they are started, and have found each other. */
  readonly isStarted?: boolean;
  /** Name only what is needed to found the tier with `bootstrap`. */
  readonly bootstrap?: (addresses: readonly string[]) => readonly string[];
  /** Environment of a member's process. Default: that of the test. */
  readonly env?: (id: string) => Readonly<Record<string, string | undefined>>;
  /** The folder with a member's programs in bin/, asked at every start; undefined: this package. */
  readonly programs?: (id: string) => string | undefined;
  /** More of the transport of type raft, in YAML's flow style: `passphrase: "…"`. */
  readonly raft?: (id: string) => string;
  /** Everybody speaks TLS with certificates of this authority. */
  readonly tls?: TestTlsTier;
};

export async function startCoordinatorTier(
  context: Pick<TestContext, "after">,
  options: CoordinatorTierOptions,
): Promise<CoordinatorTier> {
  const { size = 3, env = () => process.env } = options;
  const folder = temporaryFolder(context);
  const ids = Array.from({ length: size }, (_, at) => `c${at + 1}`);
  const rafts = await freePorts(size);
  const addresses = rafts.map((port) => `127.0.0.1:${port}`);
  const bootstrap = options.bootstrap?.(addresses) ?? addresses;
  const yaml = options.yaml.replaceAll("FOLDER", folder);
  const members: TierProcess[] = [];
  for (const [at, id] of ids.entries())
    members.push(
      await processOf(context, {
        ...options,
        id,
        folder,
        yaml,
        address: addresses[at] ?? "",
        bootstrap,
        env,
      }),
    );
  const admin = await options.tls?.issue("client", "admin");
  const certificates =
    admin === undefined ? {} : { DUCK_CACERT: admin.ca, DUCK_CERT: admin.cert, DUCK_KEY: admin.key };
  const servers = (): string => members.map(({ grpc }) => grpc).join(",");
  const duckctl: CoordinatorTier["duckctl"] = (...args) =>
    runDuckctl(args, { env: { DUCK_SERVER: servers(), ...certificates } });
  const of = (id: string): TierProcess => {
    const found = members.find((each) => each.id === id);
    if (found === undefined) throw new Error(`no coordinator ${id}`);
    return found;
  };
  if (options.isStarted !== false) {
    for (const member of members) member.launch();
    await Promise.all(members.map((member) => member.program().event(isStarted)));
  }
  const ask: CoordinatorTier["ask"] = (id, ...args) =>
    runDuckctl(args, { env: { DUCK_SERVER: of(id).grpc, ...certificates } });
  return {
    folder,
    members,
    of,
    duckctl,
    ask,
    leader: async (among = members.map(({ id }) => id)) => {
      const found = await eventually("a leader", async () => {
        for (const id of among) {
          const { code, out } = await ask(id, "coordinators", "list", "-o", "json", "--stale");
          const rows = code === 0 ? (JSON.parse(out) as { id: string; role: string }[]) : [];
          const leader = rows.find(({ role }) => role === "leader");
          if (leader !== undefined && among.includes(leader.id)) return leader.id;
        }
        return null;
      });
      return of(found);
    },
    settled: async () => {
      await eventually("the configuration", async () => {
        const { code, out } = await duckctl("config", "show");
        return code === 0 && out.includes("clusters:");
      });
    },
    prepare: async (id, wish = {}) => {
      const [port = 0] = await freePorts(1);
      const made = await processOf(context, {
        ...options,
        id,
        folder,
        yaml,
        address: `127.0.0.1:${port}`,
        env,
        bootstrap: wish.bootstrap ?? [],
      });
      members.push(made);
      return made;
    },
  };
}

async function processOf(
  context: Pick<TestContext, "after">,
  wish: Pick<CoordinatorTierOptions, "raft" | "tls" | "programs"> & {
    readonly id: string;
    readonly folder: string;
    readonly yaml: string;
    /** Where the others reach it. */
    readonly address: string;
    readonly bootstrap: readonly string[];
    readonly env: (id: string) => Readonly<Record<string, string | undefined>>;
  },
): Promise<TierProcess> {
  const { id, yaml, address, bootstrap } = wish;
  const folder = join(wish.folder, id);
  mkdirSync(folder);
  const file = join(folder, "clusterduck.yaml");
  const [grpcPort = 0, httpPort = 0] = await freePorts(2);
  const grpc = `127.0.0.1:${grpcPort}`;
  const http = `127.0.0.1:${httpPort}`;
  const files = await wish.tls?.issue("member", id);
  const tls = files === undefined ? "" : `, tls: ${JSON.stringify(files)}`;
  const more = wish.raft?.(id) ?? "";
  const extra = more === "" ? "" : `, ${more}`;
  writeFileSync(
    file,
    `${yaml}
coordinator: {id: ${id}, data_dir: data, listen: "${grpc}", http: "${http}"${tls}}
transports:
  - {type: raft, address: "${address}", bootstrap: [${bootstrap.map((each) => `"${each}"`).join(", ")}]${extra}}
`,
  );
  let program: RunningProgram | null = null;
  const launch = (): RunningProgram => {
    const started = runProgram("duck-coordinator", ["-c", file], wish.env(id), [], wish.programs?.(id));
    atEnd(context, () => started.kill());
    program = started;
    return started;
  };
  return {
    id,
    folder,
    file,
    grpc,
    raft: address,
    http,
    launch,
    start: async () => void (await launch().event(isStarted)),
    program: () => {
      if (program === null) throw new Error(`coordinator ${id} was not started`);
      return program;
    },
  };
}

function isStarted({ event }: { readonly event: string }): boolean {
  return event === "coordinator.started";
}

/** Asks until the answer is neither null nor false. @throws Error that names what was awaited. */
export async function eventually<Value>(
  what: string,
  look: () => Promise<Value | null | false>,
): Promise<Value> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  for (;;) {
    const seen = await look();
    if (seen !== null && seen !== false) return seen;
    if (performance.now() > deadlineMs) throw new Error(`${what} never came`);
    await delay(50);
  }
}
