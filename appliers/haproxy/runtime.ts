import { GENERATION_VARIABLE } from "../../common/model/generation.js";
import type { RuntimeChannel } from "./cli.js";
import type { OwnedServer } from "./server-lines.js";

/** One server as the running worker has it. */
export type RunningServer = {
  readonly backend: string;
  readonly name: string;
  /** Resolved IP, or "-". */
  readonly host: string;
  readonly port: number;
  /** In maintenance by configuration or command. */
  readonly isDisabled: boolean;
  /** Drained by command: it takes nothing new, whatever its weight. */
  readonly isDraining: boolean;
  readonly weight: number;
  /** The weight it was started with. */
  readonly initialWeight: number;
};

export type RunningProxy = {
  /** Process id and start time, so that a reused process id is no proof; null when it does not say. */
  readonly worker: string | null;
  /** Value of the generation marker, empty when the configuration has none. */
  readonly marker: string;
  /** Key: `backend/name`. */
  readonly servers: ReadonlyMap<string, RunningServer>;
};

/** Backends asked one by one up to here; beyond it, all at once. */
const FEW_BACKENDS = 8;

/** What the worker runs. @throws ClusterduckError UNREACHABLE or TIMED_OUT. */
export async function inspect(channel: RuntimeChannel, backends: ReadonlySet<string>): Promise<RunningProxy> {
  const states =
    backends.size <= FEW_BACKENDS
      ? [...backends].map((backend) => `show servers state ${backend}`)
      : ["show servers state"];
  const text = await channel.run([`show env ${GENERATION_VARIABLE}`, "show info", ...states]);
  const pid = /^Pid: (\d+)$/m.exec(text)?.[1];
  const startedAt = /^Start_time_sec: (\d+)$/m.exec(text)?.[1];
  return {
    worker: pid === undefined ? null : `${pid}@${startedAt ?? ""}`,
    marker: new RegExp(`^${GENERATION_VARIABLE}=(.*)$`, "m").exec(text)?.[1] ?? "",
    servers: parseServersState(text),
  };
}

/** Forced maintenance (by command, or by `disabled` at the start). Source: management manual, "show servers state". */
const FORCED_MAINTENANCE = 0x01;
const FORCED_DRAIN = 0x08;

/** Reads the table of `show servers state`, by the names in its header. */
export function parseServersState(text: string): ReadonlyMap<string, RunningServer> {
  const servers = new Map<string, RunningServer>();
  let columns: readonly string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("# be_id ")) columns = line.slice(2).split(" ");
    if (!/^\d+ \S+ \d+ \S+ /.test(line)) continue;
    const cells = line.split(" ");
    const cell = (name: string): string => cells[columns.indexOf(name)] ?? "";
    const admin = Number(cell("srv_admin_state"));
    const server = {
      backend: cell("be_name"),
      name: cell("srv_name"),
      host: cell("srv_addr"),
      port: Number(cell("srv_port")),
      isDisabled: (admin & FORCED_MAINTENANCE) !== 0,
      isDraining: (admin & FORCED_DRAIN) !== 0,
      weight: Number(cell("srv_uweight")),
      initialWeight: Number(cell("srv_iweight")),
    };
    servers.set(serverKey(server), server);
  }
  return servers;
}

export function serverKey(server: { readonly backend: string; readonly name: string }): string {
  return `${server.backend}/${server.name}`;
}

export type RuntimePlan = {
  /** Removals first: nothing new may reach a demoted server after its successor opened. */
  readonly commands: readonly string[];
  /** What no command mends: servers that are missing or elsewhere, weights without a known value. */
  readonly obstacles: readonly string[];
};

/** What would bring the running worker to the wanted servers. Pure. */
export function planRuntime(wanted: readonly OwnedServer[], running: RunningProxy): RuntimePlan {
  const removals: string[] = [];
  const returns: string[] = [];
  const obstacles: string[] = [];
  for (const server of wanted) {
    const key = serverKey(server);
    const now = running.servers.get(key);
    if (now === undefined) {
      obstacles.push(`server ${key} is not in the running HAProxy`);
      continue;
    }
    if (!isSameAddress(server.address, now)) {
      obstacles.push(`server ${key} has another address in the running HAProxy`);
      continue;
    }
    const weight = server.weight ?? now.initialWeight;
    if (server.weight === null && now.initialWeight === 0) {
      obstacles.push(`server ${key} was started with weight 0`);
    } else if (weight !== now.weight) {
      (weight === 0 ? removals : returns).push(`set server ${key} weight ${weight}`);
    }
    if (server.isDisabled && !now.isDisabled) removals.push(`set server ${key} state maint`);
    if (!server.isDisabled && (now.isDisabled || now.isDraining))
      returns.push(`set server ${key} state ready`);
  }
  return { commands: [...removals, ...returns], obstacles };
}

/** Names are resolved by HAProxy, so only literals are compared. */
function isSameAddress(address: string, running: RunningServer): boolean {
  const match = /^(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+)|[^:@]+):(\d+)$/.exec(address);
  if (match === null) return true;
  if (Number(match[3]) !== running.port) return false;
  const v4 = match[2];
  return v4 === undefined || v4 === running.host;
}
