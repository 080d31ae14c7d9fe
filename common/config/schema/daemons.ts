import { z } from "zod";
import { PASSPHRASE_LENGTH_MIN } from "../../tls/passphrase.js";
import { CONFIG_DEFAULTS } from "../defaults.js";
import { proxyTarget } from "./balancer.js";
import { nodeObject, toNode } from "./node.js";
import { tls, tlsPattern } from "./tls.js";
import {
  address,
  duration,
  durationOr,
  environment,
  line,
  listen,
  name,
  oneOrMore,
  path,
  scalarText,
  secureListen,
  userName,
} from "./values.js";

/* What belongs to one process on one host; nothing here is replicated. */

const COORDINATOR = CONFIG_DEFAULTS.coordinator;
const RAFT = CONFIG_DEFAULTS.raft;

/** Where a daemon is found. A URL's scheme is accepted, as the seed wrote `tls://host:port`. */
const peer = z
  .string()
  .transform((text) => text.replace(/^(tls|https?|grpcs?):\/\//, ""))
  .pipe(address);

/** The `coordinator` section. */
export const coordinator = z.strictObject({
  id: name.optional().describe("Unique among the coordinators; default: the host's name"),
  data_dir: path.default(COORDINATOR.dataDir).describe("Holds the log; must survive restarts"),
  listen: listen
    .prefault(`${COORDINATOR.grpc.host}:${COORDINATOR.grpc.port}`)
    .describe("gRPC for agents and duckctl: port, or host:port"),
  http: z
    .union([z.literal(false), z.literal("off"), listen], { error: "expected a port, host:port, or false" })
    .optional()
    .describe("REST and the dashboard: port, host:port, or false; default 127.0.0.1:8484"),
  advertise: peer
    .optional()
    .describe("host:port where agents reach this coordinator; default: where it listens"),
  tls: tls.optional().describe("Certificates, for listening beyond loopback"),
  log_dir: path.optional().describe("Directory of log files; default: standard error"),
  pid_file: path.optional().describe("Written when ready, removed when stopped; default: none"),
  snapshot_entries: z
    .int()
    .min(100)
    .max(10_000_000)
    .default(COORDINATOR.snapshotEntries)
    .describe("Log entries kept before a snapshot replaces them"),
});

const raftTransport = z.strictObject({
  type: z.literal("raft"),
  address: secureListen.optional().describe("Where the other coordinators connect; default 127.0.0.1:9910"),
  tls: tlsPattern.optional().describe("Path pattern of the certificates; default clusterduck.%s"),
  passphrase: z
    .string()
    .min(PASSPHRASE_LENGTH_MIN, {
      message: `is too short: use at least ${PASSPHRASE_LENGTH_MIN} characters, as \`openssl rand -base64 24\` gives`,
    })
    .max(1_000)
    .optional()
    .describe("What all coordinators of the tier know; better in a file, or as ${VAR}"),
  passphrase_file: path.optional().describe("The file with the passphrase"),
  bootstrap: oneOrMore(peer).prefault([]).describe("The other coordinators, or some of them"),
  advertise: peer.optional().describe("host:port where the others reach it; default: where it listens"),
  heartbeat_interval: durationOr(RAFT.heartbeatMs, { minMs: 5, maxMs: 10_000 }).describe(
    "Between two signs of life of the leader; the same on all coordinators",
  ),
  election_timeout: durationOr(RAFT.electionMs, { minMs: 50, maxMs: 50_000 }).describe(
    "Silence of the leader before another is elected: at least 5 heartbeats",
  ),
  replace_dead_after: duration({ minMs: 5_000, maxMs: 365 * 86_400_000 })
    .optional()
    .describe(
      "Silence after which a coordinator is removed once another has taken its place; default: never",
    ),
});

const httpTransport = z.strictObject({
  type: z.literal("http"),
  listen: listen.describe("Port, or host:port"),
});

/** An entry of `transports`, the seed's form of what `coordinator` says as well. */
export const transport = z.discriminatedUnion("type", [raftTransport, httpTransport]);

const execCommand = z
  .union([
    oneOrMore(z.string().min(1)),
    z.strictObject({
      command: oneOrMore(z.string().min(1)).describe("Program and arguments; no shell unless you name one"),
      cwd: path.optional(),
      env: environment.prefault({}),
      user: userName.optional().describe("Run as this user"),
    }),
  ])
  .transform((value) =>
    Array.isArray(value) ? { command: value, cwd: undefined, env: {}, user: undefined } : value,
  )
  .refine((value) => value.command.length > 0, { message: "is empty: give the program and its arguments" })
  .refine((value) => !value.command.some((word) => word.includes("\0")), { message: "holds a NUL character" })
  .transform((value) => ({
    command: value.command,
    cwd: value.cwd ?? null,
    env: value.env,
    user: value.user ?? null,
  }));

const agentNode = nodeObject
  .safeExtend({ cluster: z.string().describe("The cluster it joins") })
  .transform(({ cluster, ...rest }) => ({ ...toNode(rest), cluster }));

/** The `agent` section. */
export const agent = z.strictObject({
  id: name.optional().describe("Unique among the agents; default: the host's name"),
  coordinators: oneOrMore(peer)
    .refine((list) => list.length > 0, { message: "is empty: give at least one coordinator, host:port" })
    .prefault([...CONFIG_DEFAULTS.agent.coordinators])
    .describe("gRPC addresses of all coordinators"),
  tls: tls.optional().describe("Certificates, for coordinators that listen with TLS"),
  zone: line
    .min(1)
    .max(100)
    .default(CONFIG_DEFAULTS.agent.zone)
    .describe("What fails together: a rack, a data centre"),
  labels: z.record(name, scalarText).prefault({}).describe("Words of your own, to choose agents by"),
  nodes: z
    .array(agentNode)
    .prefault([])
    .describe("Nodes beside this agent that join their clusters through it"),
  proxies: z.record(name, proxyTarget).prefault({}).describe("Proxies this agent may write to, by balancer"),
  exec_checks: z
    .record(name, execCommand)
    .prefault({})
    .describe("Commands that exec checks may run here, by name"),
  state_dir: path
    .default(CONFIG_DEFAULTS.agent.stateDir)
    .describe("What the agent remembers across restarts"),
  log_dir: path.optional().describe("Directory of log files; default: standard error"),
  pid_file: path.optional().describe("Written when ready, removed when stopped; default: none"),
});
