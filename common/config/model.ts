import type { NodeAttributes } from "../model/node.js";

/*
 * The configuration after reading: checked, defaults filled in, durations in milliseconds, addresses
 * canonical. `schema.ts` produces exactly these shapes from YAML.
 */

/** What the tier replicates. The rest of the file belongs to one process on one host. */
export type ReplicatedConfig = {
  readonly clusters: Readonly<Record<string, ClusterConfig>>;
  readonly balancers: Readonly<Record<string, BalancerConfig>>;
};

export type ClusterType = "redis" | "http" | "tcp" | "grpc";

export type ClusterConfig = {
  readonly name: string;
  readonly type: ClusterType;
  readonly nodes: readonly NodeConfig[];
  readonly checks: readonly CheckConfig[];
  readonly triggers: readonly TriggerConfig[];
  /** A cluster without checks counts its nodes as healthy. */
  readonly passWithoutChecks: boolean;
  readonly minActiveNodes: number;
  readonly minSpareNodes: number;
  /** Remove nodes that stayed down this long, milliseconds; null: never. */
  readonly purgeUnavailableMs: number | null;
  readonly policy: PolicyConfig;
};

/** How votes become cuts, and what protects a cluster from our own mistakes (docs/reference). */
export type PolicyConfig = {
  /** Votes that must say down, over the configured coordinators. */
  readonly quorum: "majority" | "any" | "all" | number;
  readonly isDampingEnabled: boolean;
  /** Share of a cluster that timeout-based evidence may remove, 0 to 1; at least one node always may. */
  readonly removalBudget: number;
  /** Over this share of bad nodes (0 to 1) every node that is not certainly dead is rendered. */
  readonly panicThreshold: number;
};

export type NodeConfig = {
  readonly addr: string;
  readonly attributes: NodeAttributes;
  readonly isDisabled: boolean;
  readonly isSpare: boolean;
};

/** A value from the configuration that is passed on as it is: check and action options. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

export type CheckType = "basic" | "info" | "http" | "websocket" | "tcp" | "grpc" | "exec";

export type CheckConfig = {
  /** Unique in its cluster: the `name` given, or the type, numbered when it repeats. */
  readonly id: string;
  readonly type: CheckType;
  /** Options of the type, already checked by the schema of that type (`checks/options.ts`). */
  readonly options: JsonObject;
  readonly everyMs: number;
  /** Time between two looks while the check fails, shorter than `everyMs`; left out: the same. */
  readonly failingEveryMs?: number;
  readonly timeoutMs: number;
  /** Failures in a row before the check counts as failed. */
  readonly fall: number;
  /** Passes in a row before it counts as passed. */
  readonly rise: number;
};

export type TriggerConfig = {
  /** Unique in its cluster: the `name` given, or the events joined by `+`, numbered when it repeats. */
  readonly id: string;
  readonly on: readonly TriggerEvent[];
  /** At most one run per this many milliseconds: events in between are joined into the next run. 0: no throttle. */
  readonly throttleMs: number;
  readonly env: Readonly<Record<string, string>>;
  readonly actions: readonly ActionConfig[];
};

/** `changed` is another word for `nodes`. */
export type TriggerEvent = "nodes" | "active" | "state";

export type ActionConfig = {
  readonly type: "shell";
  readonly commands: readonly string[];
  readonly cwd: string | null;
  readonly env: Readonly<Record<string, string>>;
  /** Pass on the coordinator's own environment. */
  readonly inheritEnv: boolean;
  readonly timeoutMs: number;
  /** Run as this user (name or uid); null: as the coordinator. */
  readonly user: string | null;
  /** Further attempts after a failed one. */
  readonly retries: number;
};

export type BalancerConfig = HaproxyConfig;

export type HaproxyConfig = {
  readonly type: "haproxy";
  readonly name: string;
  /** Clusters it serves, in order. */
  readonly clusters: readonly string[];
  /**
   * `file`: the whole file is ours. `include`: the file holds our backends only and is given to HAProxy
   * beside the user's file. `marker`: only the lines between `#<servers>` and `#</servers>` are ours.
   */
  readonly mode: "file" | "include" | "marker";
  /** Who writes it: a coordinator that stands beside the proxy, or every agent that declares it. */
  readonly deliver: "local" | "agents";
  /** Where and how, for local delivery; agents use their own `proxies` section. Null with `agents`. */
  readonly target: ProxyTargetConfig | null;
  /** One frontend per cluster, whole-file mode only. Key: cluster. */
  readonly frontends: Readonly<
    Record<string, { readonly bind: readonly string[]; readonly options: readonly string[] }>
  >;
  /** HAProxy's `balance` algorithm. */
  readonly algorithm: string;
  /** `http` or `tcp`; null: what the cluster's type says. */
  readonly protocol: "http" | "tcp" | null;
  /** Extra lines for `global`, `defaults` and every backend, whole-file and include mode. */
  readonly globalOptions: readonly string[];
  readonly defaultsOptions: readonly string[];
  readonly backendOptions: readonly string[];
  /** HAProxy checks of its own beside ours, as a `check` on every server line. */
  readonly isCheckedByProxy: boolean;
  /** Let an empty cluster render an empty backend. */
  readonly mayBeEmpty: boolean;
  /** Time over which a returning node's weight grows back; 0: at once. */
  readonly slowStartMs: number;
};

/** A proxy on this host: which file is ours and how it takes a new one. */
export type ProxyTargetConfig = {
  readonly path: string;
  /** HAProxy's program. */
  readonly program: string;
  /** Further files that HAProxy is started with (`-f`), for validation in include mode. */
  readonly extraFiles: readonly string[];
  readonly reload: ReloadConfig;
  /** Wait this long for further changes before a write (removals do not wait). */
  readonly quietMs: number;
  readonly quietMaxMs: number;
  /** At most one reload per this many milliseconds. */
  readonly reloadEveryMs: number;
  /** HAProxy's stats socket, for reading back; null: read back through the master socket, or only the file. */
  readonly statsSocket: string | null;
};

export type ReloadConfig =
  /** Master-worker mode with a master CLI socket (`haproxy -W -S /path`). */
  | { readonly kind: "master"; readonly socket: string }
  /** SIGUSR2 to the master process named in the pid file. */
  | { readonly kind: "pidFile"; readonly path: string }
  /** The user's own command; exit 0 is success. */
  | { readonly kind: "command"; readonly command: string; readonly timeoutMs: number }
  /** Write the file only. */
  | { readonly kind: "none" };

/** Everything that one file says. */
export type FileConfig = {
  readonly replicated: ReplicatedConfig;
  readonly coordinator: CoordinatorConfig;
  readonly agent: AgentConfig;
};

export type ListenConfig = { readonly host: string; readonly port: number };

/** Who signs, who we are, and the proof of it: absolute paths; `ca` and `cert` may be the PEM text itself. */
export type TlsConfig = { readonly ca: string; readonly cert: string; readonly key: string };

/** A secret: itself, or the absolute path of the file that holds it. */
export type SecretConfig = { readonly text: string } | { readonly file: string };

export type CoordinatorConfig = {
  /** Default: the host's name. */
  readonly id: string;
  readonly dataDir: string;
  readonly grpc: ListenConfig;
  /** null: the HTTP transport is off. */
  readonly http: ListenConfig | null;
  /** Where agents reach it, `host:port`; null: where it listens. */
  readonly advertise: string | null;
  /** null: none, and then only loopback is listened on. */
  readonly tls: TlsConfig | null;
  readonly raft: RaftTransportConfig;
  readonly logDir: string | null;
  readonly pidFile: string | null;
  /** Log entries kept before a snapshot replaces them. */
  readonly snapshotEntries: number;
};

/** How coordinators of one tier reach each other, in the seed's form. */
export type RaftTransportConfig = {
  /** False: the file names no such transport, and the coordinator stands alone. */
  readonly isEnabled: boolean;
  /** Where the others reach it, host:port; null: where it listens. */
  readonly advertise: string | null;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly address: ListenConfig;
  readonly bootstrap: readonly string[];
  /** What all coordinators of the tier know; null: certificates and join tokens are all that is asked for. */
  readonly passphrase: SecretConfig | null;
  /** A member that was silent for so long goes once another has taken its place, milliseconds; null: never. */
  readonly replaceDeadAfterMs: number | null;
};

export type AgentConfig = {
  /** Default: the host's name. */
  readonly id: string;
  /** gRPC addresses of all coordinators. */
  readonly coordinators: readonly string[];
  /** null: coordinators on this host, without TLS. */
  readonly tls: TlsConfig | null;
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Nodes beside this agent that join their clusters through it. */
  readonly nodes: readonly (NodeConfig & { readonly cluster: string })[];
  /** Proxies this agent may write to. Key: balancer. */
  readonly proxies: Readonly<Record<string, ProxyTargetConfig>>;
  /** Commands that `exec` checks may run here. Key: the check's `command` name. */
  readonly execChecks: Readonly<Record<string, ExecCommandConfig>>;
  readonly stateDir: string;
  readonly logDir: string | null;
  readonly pidFile: string | null;
};

export type ExecCommandConfig = {
  readonly command: readonly string[];
  readonly cwd: string | null;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string | null;
};
