import { canonicalAddress } from "../model/address.js";
import { formatDuration } from "../duration.js";
import { isObject } from "./arrange.js";
import { CONFIG_DEFAULTS } from "./defaults.js";
import type { JsonObject, JsonValue } from "./model.js";
import { formatPath } from "./problem.js";
import type { PathSegment } from "./problem.js";
import { isLoopbackHost } from "../net/loopback.js";
import { duration, listen, secureListen } from "./schema/values.js";
import { nearest } from "./suggest.js";
import type { ProblemDetails } from "./yaml-source.js";

type Path = readonly PathSegment[];
type Report = (path: Path, message: string, details?: ProblemDetails) => void;

/**
 * What several places must say together. Works on data that the schema may have refused, so that these
 * problems are reported beside the others, and passes over what does not have the right form.
 */
export function crossCheck(data: JsonObject, report: Report): void {
  const clusters = objectOf(data["clusters"]);
  for (const [name, cluster] of Object.entries(clusters)) {
    if (!isObject(cluster)) continue;
    const path = ["clusters", name];
    checkNodes(listOf(cluster["nodes"]), [...path, "nodes"], report);
    checkNames(listOf(cluster["health_checks"]), [...path, "health_checks"], report);
    checkNames(listOf(cluster["triggers"]), [...path, "triggers"], report);
  }
  checkBalancers(data, report);
  checkTransports(data, report);
  checkListening(data, report);
  const agentNodes = listOf(objectOf(data["agent"])["nodes"]);
  checkNodes(agentNodes, ["agent", "nodes"], report);
  // An agent's own file need not know the clusters.
  if (Object.keys(clusters).length === 0) return;
  for (const [index, node] of agentNodes.entries()) {
    if (isObject(node)) checkCluster(node["cluster"], clusters, ["agent", "nodes", index, "cluster"], report);
  }
}

function checkNodes(nodes: readonly JsonValue[], path: Path, report: Report): void {
  const seen = new Map<string, number>();
  for (const [index, node] of nodes.entries()) {
    const written = isObject(node) ? node["addr"] : node;
    if (typeof written !== "string") continue;
    const address = canonicalOrNull(written);
    if (address === null) continue;
    const cluster = isObject(node) && typeof node["cluster"] === "string" ? node["cluster"] : "";
    const first = seen.get(`${cluster}/${address}`);
    if (first === undefined) seen.set(`${cluster}/${address}`, index);
    else {
      report(
        [...path, index, ...(isObject(node) ? ["addr"] : [])],
        `node ${address} stands here a second time: first as ${formatPath([...path, first])}`,
        {
          value: written,
        },
      );
    }
  }
}

function checkNames(entries: readonly JsonValue[], path: Path, report: Report): void {
  const seen = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    const name = isObject(entry) ? entry["name"] : undefined;
    if (typeof name !== "string") continue;
    if (seen.has(name))
      report([...path, index, "name"], `the name "${name}" is taken by an earlier entry`, { value: name });
    seen.add(name);
  }
}

function checkBalancers(data: JsonObject, report: Report): void {
  const clusters = objectOf(data["clusters"]);
  const firstPlaces = new Map<string, Path>();
  for (const { name, namePath, balancer, path, isListedBy } of findBalancers(data)) {
    const first = name === null ? undefined : firstPlaces.get(name);
    if (name !== null && first !== undefined) {
      report(namePath, `the balancer name "${name}" is taken: ${formatPath(first)}`, {
        value: name,
        isAboutKey: true,
      });
    } else if (name !== null) firstPlaces.set(name, path);
    if (!isObject(balancer)) continue;
    const served = typeof balancer["clusters"] === "string" ? [balancer["clusters"]] : balancer["clusters"];
    const names = served === undefined && isListedBy !== null ? [isListedBy] : listOf(served);
    if (names.length === 0 && isListedBy === null) {
      report([...path, "clusters"], "is missing: name the clusters it serves", {
        allowed: Object.keys(clusters).slice(0, 20),
      });
    }
    for (const [index, cluster] of names.entries()) {
      checkCluster(
        cluster,
        clusters,
        [...path, "clusters", ...(Array.isArray(served) ? [index] : [])],
        report,
      );
      if (names.indexOf(cluster) < index)
        report([...path, "clusters", index], "stands in the list twice", { value: cluster });
    }
    for (const frontend of Object.keys(objectOf(balancer["frontends"]))) {
      if (names.includes(frontend)) continue;
      const candidates = names.filter((served) => typeof served === "string");
      report([...path, "frontends", frontend], `"${frontend}" is not a cluster of this balancer`, {
        allowed: candidates,
        suggestion: nearest(frontend, candidates),
        isAboutKey: true,
      });
    }
    if (balancer["bind"] !== undefined && names.length > 1) {
      report([...path, "bind"], "says not for which cluster: use frontends, with one bind for each", {
        isAboutKey: true,
      });
    }
    if (balancer["bind"] !== undefined && balancer["frontends"] !== undefined) {
      report([...path, "bind"], "stands beside frontends: use one of them", { isAboutKey: true });
    }
  }
}

type FoundBalancer = {
  readonly name: string | null;
  readonly namePath: Path;
  readonly balancer: JsonValue;
  readonly path: Path;
  /** The cluster in whose section it stands; null at the top level. */
  readonly isListedBy: string | null;
};

function* findBalancers(data: JsonObject): Iterable<FoundBalancer> {
  for (const [name, balancer] of Object.entries(objectOf(data["balancers"]))) {
    const path = ["balancers", name];
    yield { name, namePath: path, balancer, path, isListedBy: null };
  }
  for (const [cluster, value] of Object.entries(objectOf(data["clusters"]))) {
    const balancers = isObject(value) ? value["balancers"] : undefined;
    for (const [key, balancer] of Object.entries(Array.isArray(balancers) ? {} : objectOf(balancers))) {
      const path = ["clusters", cluster, "balancers", key];
      yield { name: key, namePath: path, balancer, path, isListedBy: cluster };
    }
    for (const [index, balancer] of listOf(balancers).entries()) {
      const path = ["clusters", cluster, "balancers", index];
      const name = isObject(balancer) && typeof balancer["name"] === "string" ? balancer["name"] : null;
      yield { name, namePath: [...path, "name"], balancer, path, isListedBy: cluster };
    }
  }
}

function checkCluster(name: JsonValue | undefined, clusters: JsonObject, path: Path, report: Report): void {
  if (typeof name !== "string" || Object.hasOwn(clusters, name)) return;
  const names = Object.keys(clusters);
  report(path, `there is no cluster "${name}"`, {
    value: name,
    allowed: names.slice(0, 20),
    suggestion: nearest(name, names),
  });
}

function checkTransports(data: JsonObject, report: Report): void {
  const seen = new Set<JsonValue>();
  for (const [index, transport] of listOf(data["transports"]).entries()) {
    const type = isObject(transport) ? transport["type"] : undefined;
    if (typeof type !== "string") continue;
    if (isObject(transport) && type === "raft") checkTiming(transport, ["transports", index], report);
    if (
      isObject(transport) &&
      transport["passphrase"] !== undefined &&
      transport["passphrase_file"] !== undefined
    )
      report(["transports", index, "passphrase_file"], "stands beside passphrase: use one of them", {
        isAboutKey: true,
      });
    if (seen.has(type)) report(["transports", index], `a second transport of type ${type}: one is enough`);
    seen.add(type);
  }
  if (seen.has("http") && objectOf(data["coordinator"])["http"] !== undefined) {
    report(["coordinator", "http"], "stands beside a transport of type http: use one of them", {
      isAboutKey: true,
    });
  }
}

const HEARTBEATS_PER_ELECTION = 5;

/** Fewer heartbeats than that, and a single late one elects another leader. */
function checkTiming(transport: JsonObject, path: Path, report: Report): void {
  const read = (key: string, defaultMs: number): number | null => {
    if (transport[key] === undefined) return defaultMs;
    const { data } = duration().safeParse(transport[key]);
    return data ?? null;
  };
  const heartbeatMs = read("heartbeat_interval", CONFIG_DEFAULTS.raft.heartbeatMs);
  const electionMs = read("election_timeout", CONFIG_DEFAULTS.raft.electionMs);
  if (heartbeatMs === null || electionMs === null) return;
  const leastMs = heartbeatMs * HEARTBEATS_PER_ELECTION;
  if (electionMs >= leastMs) return;
  const key = transport["election_timeout"] === undefined ? "heartbeat_interval" : "election_timeout";
  report(
    [...path, key],
    `leaves ${formatDuration(electionMs)} for an election and ${formatDuration(heartbeatMs)} between heartbeats: make election_timeout at least ${formatDuration(leastMs)}`,
    { value: transport[key] ?? null },
  );
}

/** Whoever can connect can tell a coordinator what to do, so beyond this host certificates say who may. */
function checkListening(data: JsonObject, report: Report): void {
  const coordinator = objectOf(data["coordinator"]);
  const transports = [...listOf(data["transports"]).entries()].flatMap(([index, transport]) =>
    isObject(transport) ? [{ transport, path: ["transports", index] }] : [],
  );
  const hasTls = [coordinator, ...transports.map(({ transport }) => transport)].some(
    (section) => section["tls"] !== undefined || isTlsBeyondLoopback(section["address"]),
  );
  if (hasTls) return;
  const places: readonly (readonly [JsonValue | undefined, Path])[] = [
    [coordinator["listen"], ["coordinator", "listen"]],
    [coordinator["http"], ["coordinator", "http"]],
    ...transports.flatMap(({ transport, path }) =>
      ["address", "listen"].map((key) => [transport[key], [...path, key]] as const),
    ),
  ];
  for (const [value, path] of places) {
    if (value === undefined) continue;
    const { data: place } = listen.safeParse(value);
    if (place === undefined || isLoopbackHost(place.host)) continue;
    report(
      path,
      `would listen beyond this host without TLS: make certificates with \`duckctl tls init\` and name them as coordinator.tls, or use 127.0.0.1:${place.port}`,
      { value },
    );
  }
}

/** The original's word for TLS, where it is needed: `normalise` takes the files of the default pattern then. */
function isTlsBeyondLoopback(address: JsonValue | undefined): boolean {
  const { data: place } = secureListen.safeParse(address);
  return place?.isTls === true && !isLoopbackHost(place.host);
}

function canonicalOrNull(address: string): string | null {
  try {
    return canonicalAddress(address);
  } catch {
    // The schema has reported it.
    return null;
  }
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? (value as readonly JsonValue[]) : [];
}
