import { isAbsolute, resolve } from "node:path";
import { CONFIG_DEFAULTS } from "./defaults.js";
import type {
  ActionConfig,
  AgentConfig,
  BalancerConfig,
  ClusterConfig,
  CoordinatorConfig,
  FileConfig,
  ListenConfig,
  ProxyTargetConfig,
  ReloadConfig,
  SecretConfig,
  TlsConfig,
} from "./model.js";
import { isLoopbackHost } from "../net/loopback.js";
import type { PathSegment } from "./problem.js";
import type { FileEntries } from "./schema.js";
import type { BalancerEntry } from "./schema/balancer.js";
import type { ClusterEntry } from "./schema/cluster.js";
import { filesOfPattern, isPem } from "./schema/tls.js";

export type Surroundings = {
  /** Relative paths count from here; null for a text that came over the network, which then may hold none. */
  readonly baseDirectory: string | null;
  /** The default id of coordinator and agent. */
  readonly hostName: string;
};

type Report = (path: readonly PathSegment[], message: string) => void;

/** From the file's words to the model: names and ids given, balancers in one place, paths absolute. */
export function normalise(file: FileEntries, around: Surroundings, report: Report): FileConfig {
  const paths = new Paths(around.baseDirectory, report);
  const clusters = Object.entries(file.clusters).map(
    ([name, entry]) => [name, toCluster(name, entry, paths)] as const,
  );
  return {
    replicated: {
      clusters: Object.fromEntries(clusters),
      balancers: Object.fromEntries(toBalancers(file, paths).map((balancer) => [balancer.name, balancer])),
    },
    coordinator: toCoordinator(file, around.hostName, paths),
    agent: toAgent(file, around.hostName, paths),
  };
}

function toCluster(name: string, entry: ClusterEntry, paths: Paths): ClusterConfig {
  const { balancers: _, checks, triggers, ...rest } = entry;
  const checkIds = numbered(checks.map((check) => ({ given: check.name, proposed: check.type })));
  const triggerIds = numbered(
    triggers.map((trigger) => ({ given: trigger.name, proposed: trigger.on.join("+") })),
  );
  return {
    name,
    ...rest,
    checks: checks.map(({ name: _name, ...check }, index) => ({
      id: checkIds[index] ?? check.type,
      ...check,
    })),
    triggers: triggers.map(({ name: _name, ...trigger }, index) => ({
      id: triggerIds[index] ?? "",
      ...trigger,
      actions: trigger.actions.map((action, position): ActionConfig => {
        const path = ["clusters", name, "triggers", index, "do", position, "cwd"];
        return { ...action, cwd: action.cwd === null ? null : paths.replicated(action.cwd, path) };
      }),
    })),
  };
}

/** The given names, and `word`, `word-2`, … for the others; none twice. */
function numbered(
  entries: readonly { readonly given: string | undefined; readonly proposed: string }[],
): string[] {
  const taken = new Set(entries.flatMap((entry) => entry.given ?? []));
  return entries.map(({ given, proposed }) => {
    if (given !== undefined) return given;
    let id = proposed;
    for (let number = 2; taken.has(id); number += 1) id = `${proposed}-${number}`;
    taken.add(id);
    return id;
  });
}

function toBalancers(file: FileEntries, paths: Paths): BalancerConfig[] {
  type Found = {
    readonly entry: BalancerEntry;
    readonly cluster: string | null;
    readonly path: readonly PathSegment[];
  };
  const found: Found[] = Object.entries(file.balancers).map(([name, entry]) => ({
    entry: { ...entry, name },
    cluster: null,
    path: ["balancers", name],
  }));
  for (const [cluster, { balancers }] of Object.entries(file.clusters)) {
    for (const { key, ...entry } of balancers) {
      found.push({ entry, cluster, path: ["clusters", cluster, "balancers", key] });
    }
  }
  const names = numbered(
    found.map(({ entry, cluster }) => ({
      given: entry.name,
      proposed: `${cluster ?? ""}-${entry.config.type}`,
    })),
  );
  return found.map(({ entry, cluster, path }, index) => {
    const served = entry.clusters ?? (cluster === null ? [] : [cluster]);
    const [only] = served;
    const { target, frontends, ...config } = entry.config;
    return {
      name: names[index] ?? "",
      ...config,
      clusters: served,
      target: target === null ? null : toTarget(target, (value) => paths.replicated(value, path)),
      frontends:
        entry.bind !== null && only !== undefined ? { [only]: { bind: entry.bind, options: [] } } : frontends,
    };
  });
}

function toTarget(target: ProxyTargetConfig, absolute: (path: string) => string): ProxyTargetConfig {
  return {
    ...target,
    path: absolute(target.path),
    // A program's bare name is looked up in PATH.
    program: target.program.includes("/") ? absolute(target.program) : target.program,
    extraFiles: target.extraFiles.map(absolute),
    reload: toReload(target.reload, absolute),
    statsSocket: target.statsSocket === null ? null : absolute(target.statsSocket),
  };
}

function toReload(reload: ReloadConfig, absolute: (path: string) => string): ReloadConfig {
  if (reload.kind === "master") return { ...reload, socket: absolute(reload.socket) };
  return reload.kind === "pidFile" ? { ...reload, path: absolute(reload.path) } : reload;
}

function toCoordinator(file: FileEntries, hostName: string, paths: Paths): CoordinatorConfig {
  const { coordinator, transports } = file;
  const raft = transports.find((transport) => transport.type === "raft");
  const http = transports.find((transport) => transport.type === "http")?.listen ?? coordinator.http;
  return {
    id: coordinator.id ?? hostName,
    dataDir: paths.local(coordinator.data_dir),
    grpc: coordinator.listen,
    http: http === false || http === "off" ? null : (http ?? CONFIG_DEFAULTS.coordinator.http),
    advertise: coordinator.advertise ?? null,
    tls: toTls(coordinator.tls ?? tlsOfRaft(raft), paths),
    raft: {
      isEnabled: raft !== undefined,
      advertise: raft?.advertise ?? null,
      heartbeatMs: raft?.heartbeat_interval ?? CONFIG_DEFAULTS.raft.heartbeatMs,
      electionMs: raft?.election_timeout ?? CONFIG_DEFAULTS.raft.electionMs,
      address: toAddress(raft),
      bootstrap: raft?.bootstrap ?? [],
      passphrase: toPassphrase(raft, paths),
      replaceDeadAfterMs: raft?.replace_dead_after ?? null,
    },
    logDir: paths.localOrNull(coordinator.log_dir),
    pidFile: paths.localOrNull(coordinator.pid_file),
    snapshotEntries: coordinator.snapshot_entries,
  };
}

type RaftEntry = Extract<FileEntries["transports"][number], { type: "raft" }>;

function toAddress(raft: RaftEntry | undefined): ListenConfig {
  const { host, port } = raft?.address ?? CONFIG_DEFAULTS.raft.address;
  return { host, port };
}

/** As in the original, `tls://` without `tls` means the files of the default pattern. Loopback needs none. */
function tlsOfRaft(raft: RaftEntry | undefined): TlsConfig | undefined {
  if (raft?.tls !== undefined) return filesOfPattern(raft.tls);
  const isNeeded = raft?.address?.isTls === true && !isLoopbackHost(raft.address.host);
  return isNeeded ? filesOfPattern(CONFIG_DEFAULTS.raft.tls) : undefined;
}

function toPassphrase(raft: RaftEntry | undefined, paths: Paths): SecretConfig | null {
  if (raft?.passphrase_file !== undefined) return { file: paths.local(raft.passphrase_file) };
  return raft?.passphrase === undefined ? null : { text: raft.passphrase };
}

function toTls(tls: TlsConfig | undefined, paths: Paths): TlsConfig | null {
  if (tls === undefined) return null;
  const place = (value: string): string => (isPem(value) ? value : paths.local(value));
  return { ca: place(tls.ca), cert: place(tls.cert), key: place(tls.key) };
}

function toAgent(file: FileEntries, hostName: string, paths: Paths): AgentConfig {
  const { agent } = file;
  const proxies = Object.entries(agent.proxies).map(
    ([balancer, target]) => [balancer, toTarget(target, (path) => paths.local(path))] as const,
  );
  const commands = Object.entries(agent.exec_checks).map(
    ([name, command]) => [name, { ...command, cwd: paths.localOrNull(command.cwd ?? undefined) }] as const,
  );
  return {
    id: agent.id ?? hostName,
    coordinators: [...new Set(agent.coordinators)],
    tls: toTls(agent.tls, paths),
    zone: agent.zone,
    labels: agent.labels,
    nodes: agent.nodes,
    proxies: Object.fromEntries(proxies),
    execChecks: Object.fromEntries(commands),
    stateDir: paths.local(agent.state_dir),
    logDir: paths.localOrNull(agent.log_dir),
    pidFile: paths.localOrNull(agent.pid_file),
  };
}

class Paths {
  readonly #base: string | null;
  readonly #report: Report;

  constructor(base: string | null, report: Report) {
    this.#base = base;
    this.#report = report;
  }

  /** A path in a section that only its own host reads. */
  local(path: string): string {
    return this.#base === null ? path : resolve(this.#base, path);
  }

  localOrNull(path: string | undefined): string | null {
    return path === undefined ? null : this.local(path);
  }

  /** A path that every coordinator will read: where the file lay says nothing there. */
  replicated(path: string, place: readonly PathSegment[]): string {
    if (isAbsolute(path) || this.#base !== null) return this.local(path);
    this.#report(
      place,
      `the path ${JSON.stringify(path)} is relative to a file that is not here: use an absolute path`,
    );
    return path;
  }
}
