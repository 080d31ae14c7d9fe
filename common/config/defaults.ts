/**
 * Every default of the configuration, in one place. Durations in milliseconds; the docstring says when to
 * change a value.
 */
export const CONFIG_DEFAULTS = {
  check: {
    /** Time between two looks at one node. Longer for checks that cost the service something. */
    everyMs: 1_000,
    /** Longer for services that answer slowly when they are well. */
    timeoutMs: 1_000,
    /** Failures in a row that count as failed. Raise it for services that drop single requests. */
    fall: 3,
    /** Passes in a row that count as passed. Raise it when services come back unsteadily. */
    rise: 2,
  },
  cluster: {
    minActiveNodes: 0,
    minSpareNodes: 0,
    passWithoutChecks: false,
  },
  policy: {
    /** `any` with three coordinators trades false alarms for speed; `all` the other way round. */
    quorum: "majority",
    /** Off only where nodes flap by design. */
    isDampingEnabled: true,
    /** Share of a cluster that timeouts alone may take out: small enough that the rest carries the load. */
    removalBudget: 0.34,
    /** Above this share of bad nodes the observers are more likely wrong than the nodes. */
    panicThreshold: 0.5,
  },
  trigger: { throttleMs: 0 },
  action: {
    /** A command that runs longer is killed. */
    timeoutMs: 30_000,
    retries: 0,
    inheritEnv: false,
  },
  haproxy: {
    mode: "include",
    algorithm: "roundrobin",
    program: "haproxy",
    isCheckedByProxy: false,
    mayBeEmpty: false,
    /** Weight grows from a tenth to the whole in this time, so that cold caches fill. */
    slowStartMs: 30_000,
    /** Quiet time before additions are written; removals never wait. */
    quietMs: 200,
    quietMaxMs: 2_000,
    /** Every reload leaves an old worker draining: this bounds how many there are. */
    reloadEveryMs: 1_000,
    reloadCommandTimeoutMs: 10_000,
  },
  coordinator: {
    dataDir: "/var/lib/clusterduck/coordinator",
    grpc: { host: "127.0.0.1", port: 7400 },
    http: { host: "127.0.0.1", port: 8484 },
    /** The log is cut at this length; larger means longer restarts, smaller more snapshots. */
    snapshotEntries: 10_000,
  },
  raft: {
    address: { host: "127.0.0.1", port: 9910 },
    /** Path pattern of the certificates, from the seed: `%s` becomes `key`, `crt` or `ca`. */
    tls: "clusterduck.%s",
    /** A leader that is silent for an election timeout, up to twice that by chance, is followed by another. */
    heartbeatMs: 100,
    electionMs: 1_000,
  },
  agent: {
    coordinators: ["127.0.0.1:7400"],
    zone: "default",
    stateDir: "/var/lib/clusterduck/agent",
  },
} as const;

/** Limits that only a mistake passes. */
export const CONFIG_LIMITS = {
  fileBytes: 16 * 1024 * 1024,
  /** Values that aliases may add up to, so that a few lines cannot fill the memory. */
  aliasedValues: 100_000,
  /** Nesting that no configuration needs. */
  depth: 100,
  /** Problems that are collected before reading stops. */
  problems: 1_000,
} as const;

/** Where both daemons look when no `-c` is given. */
export const DEFAULT_CONFIG_PATH = "/etc/clusterduck/clusterduck.yaml";
