import { z } from "zod";
import { CONFIG_DEFAULTS } from "../defaults.js";
import type { ProxyTargetConfig, ReloadConfig } from "../model.js";
import { TIMER, durationOr, line, lines, name, oneOrMore, path } from "./values.js";

const DEFAULTS = CONFIG_DEFAULTS.haproxy;
const RELOAD_WAYS = "master: /socket, pid_file: /file, command: text, or none";

const reload = z
  .union(
    [
      z.literal("none"),
      z.strictObject({ master: path.describe("HAProxy's master socket (haproxy -W -S /path)") }),
      z.strictObject({ pid_file: path.describe("Send SIGUSR2 to the master process named in this file") }),
      z.strictObject({
        command: line.min(1).describe("Your own command; exit code 0 is success"),
        timeout: durationOr(DEFAULTS.reloadCommandTimeoutMs, TIMER),
      }),
    ],
    { error: `is not a way to reload: use ${RELOAD_WAYS}` },
  )
  .transform((value): ReloadConfig => {
    if (value === "none") return { kind: "none" };
    if ("master" in value) return { kind: "master", socket: value.master };
    if ("pid_file" in value) return { kind: "pidFile", path: value.pid_file };
    return { kind: "command", command: value.command, timeoutMs: value.timeout };
  });

const targetShape = {
  program: path.default(DEFAULTS.program).describe("HAProxy's program, to check a file before it is used"),
  extra_files: oneOrMore(path).prefault([]).describe("Further files that HAProxy is started with (-f)"),
  quiet: durationOr(DEFAULTS.quietMs, { maxMs: TIMER.maxMs }).describe(
    "Wait this long for further changes; removals do not wait",
  ),
  quiet_max: durationOr(DEFAULTS.quietMaxMs, { maxMs: TIMER.maxMs }).describe("But never longer than this"),
  reload_every: durationOr(DEFAULTS.reloadEveryMs, { maxMs: TIMER.maxMs }).describe(
    "At most one reload in this time",
  ),
  stats_socket: path.optional().describe("HAProxy's stats socket, to read back what it runs"),
};

/** An entry of an agent's `proxies`: what may be written on its host. */
export const proxyTarget = z
  .strictObject({
    path: path.describe("The file that is ours (or holds our marked lines)"),
    reload: reload.describe(`How HAProxy takes a new file: ${RELOAD_WAYS}`),
    ...targetShape,
  })
  .transform(toTarget);

const frontend = z.strictObject({
  bind: oneOrMore(
    z.union([line.min(1), z.int().min(1).max(65_535)], {
      error: "expected a port, or an address as HAProxy's bind takes it",
    }),
  )
    .transform((binds) => binds.map((bind) => (typeof bind === "number" ? `:${bind}` : bind)))
    .describe("Where HAProxy listens, such as :80 or 127.0.0.1:8080"),
  options: lines.prefault([]).describe("Further lines of the frontend"),
});

const ALGORITHM =
  /^(roundrobin|static-rr|leastconn|first|hash|source|uri|url_param|hdr|random|rdp-cookie|sticky)(\([^()\s]+\))?( [^\s].*)?$/;

const shape = {
  type: z.literal("haproxy"),
  clusters: oneOrMore(z.string()).optional().describe("Clusters it serves, in order"),
  mode: z
    .enum(["file", "include", "marker"])
    .default(DEFAULTS.mode)
    .describe(
      "file: the whole file is ours; include: a file beside yours; marker: the lines between #<servers> and #</servers>",
    ),
  deliver: z
    .enum(["local", "agents"])
    .optional()
    .describe(
      "Who writes it: this coordinator's host, or every agent that declares the proxy; default: local when path is given",
    ),
  path: path.optional(),
  reload: reload.optional().describe(`How HAProxy takes a new file: ${RELOAD_WAYS}`),
  ...targetShape,
  bind: frontend.shape.bind.optional().describe("Frontend of the only cluster, short for frontends"),
  frontends: z
    .record(z.string(), frontend)
    .prefault({})
    .describe("With mode file: where HAProxy listens, by cluster"),
  algorithm: line
    .regex(
      ALGORITHM,
      "is not an algorithm of HAProxy's balance: use roundrobin, leastconn, source, random, uri, …",
    )
    .default(DEFAULTS.algorithm)
    .describe("HAProxy's balance algorithm"),
  protocol: z.enum(["http", "tcp"]).optional().describe("Default: what the cluster's type says"),
  global: lines.prefault([]).describe("Further lines of global"),
  defaults: lines.prefault([]).describe("Further lines of defaults"),
  options: lines.prefault([]).describe("Further lines of every backend"),
  check: z.boolean().default(DEFAULTS.isCheckedByProxy).describe("Let HAProxy check the servers as well"),
  may_be_empty: z
    .boolean()
    .default(DEFAULTS.mayBeEmpty)
    .describe("Let a cluster without nodes render an empty backend"),
  slow_start: durationOr(DEFAULTS.slowStartMs, { maxMs: TIMER.maxMs }).describe(
    "Time over which a returning node's weight grows back",
  ),
};

/** A balancer, before its name and clusters are known. */
export const namedBalancer = z.strictObject(shape).superRefine(agrees).transform(toBalancer);
export const listedBalancer = z
  .strictObject({
    name: name.optional().describe("Unique in the whole file; default: CLUSTER-haproxy"),
    ...shape,
  })
  .superRefine(agrees)
  .transform(toBalancer);

type BalancerInput = z.output<z.ZodObject<typeof shape>> & { readonly name?: string | undefined };
export type BalancerEntry = ReturnType<typeof toBalancer>;

/** What the keys must say together. */
function agrees(value: BalancerInput, context: z.RefinementCtx): void {
  const problem = (key: string, message: string): void => {
    context.addIssue({ code: "custom", path: [key], message });
  };
  const isLocal = (value.deliver ?? (value.path === undefined ? "agents" : "local")) === "local";
  if (isLocal && value.path === undefined)
    problem("path", "is missing: with deliver: local it names the file to write");
  if (isLocal && value.path !== undefined && value.reload === undefined) {
    problem("reload", `is missing: say how HAProxy takes a new file (${RELOAD_WAYS})`);
  }
  for (const key of isLocal ? [] : hostKeysOf(value))
    problem(key, "belongs to deliver: local; agents have it in their own proxies section");
  if (value.quiet_max < value.quiet) problem("quiet_max", "is shorter than quiet");
  if (value.mode !== "file" && (value.bind !== undefined || Object.keys(value.frontends).length > 0)) {
    problem(
      value.bind === undefined ? "frontends" : "bind",
      "needs mode: file; with the other modes frontends stand in your own file",
    );
  }
}

/** Keys that say something of one host, and what they are when nobody gave them. */
const HOST_KEYS = {
  path: undefined,
  reload: undefined,
  stats_socket: undefined,
  program: DEFAULTS.program,
  quiet: DEFAULTS.quietMs,
  quiet_max: DEFAULTS.quietMaxMs,
  reload_every: DEFAULTS.reloadEveryMs,
} as const;

function hostKeysOf(value: BalancerInput): readonly string[] {
  const keys = Object.keys(HOST_KEYS) as (keyof typeof HOST_KEYS)[];
  const given: string[] = keys.filter((key) => value[key] !== HOST_KEYS[key]);
  return value.extra_files.length === 0 ? given : [...given, "extra_files"];
}

function toBalancer(value: BalancerInput) {
  const deliver = value.deliver ?? (value.path === undefined ? "agents" : "local");
  return {
    name: value.name,
    /** null: the cluster it stands in. */
    clusters: value.clusters ?? null,
    bind: value.bind ?? null,
    config: {
      type: value.type,
      mode: value.mode,
      deliver,
      target:
        deliver === "local" && value.path !== undefined && value.reload !== undefined
          ? toTarget({ ...value, path: value.path, reload: value.reload })
          : null,
      frontends: value.frontends,
      algorithm: value.algorithm,
      protocol: value.protocol ?? null,
      globalOptions: value.global,
      defaultsOptions: value.defaults,
      backendOptions: value.options,
      isCheckedByProxy: value.check,
      mayBeEmpty: value.may_be_empty,
      slowStartMs: value.slow_start,
    },
  } as const;
}

type TargetInput = {
  readonly path: string;
  readonly program: string;
  readonly extra_files: readonly string[];
  readonly reload: ReloadConfig;
  readonly quiet: number;
  readonly quiet_max: number;
  readonly reload_every: number;
  readonly stats_socket?: string | undefined;
};

function toTarget(value: TargetInput): ProxyTargetConfig {
  return {
    path: value.path,
    program: value.program,
    extraFiles: value.extra_files,
    reload: value.reload,
    quietMs: value.quiet,
    quietMaxMs: value.quiet_max,
    reloadEveryMs: value.reload_every,
    statsSocket: value.stats_socket ?? null,
  };
}
