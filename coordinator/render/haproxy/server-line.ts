import { createHash } from "node:crypto";

import type { Address } from "../../../common/model/address.js";
import type { ClusterType, HaproxyConfig } from "../../../common/config/model.js";
import type { NodeSlice } from "../balancer-view.js";
import type { Admission } from "../admission.js";
import { SERVER_PARAMETERS, integerOf, writeParameter } from "./attributes.js";
import { hasControlCharacter, isName } from "./text.js";

/** HAProxy's largest weight; 0 means: finish what you have, take nothing new. */
const WEIGHT_MAX = 256;

export type ServerLineContext = {
  readonly balancer: HaproxyConfig;
  readonly clusterType: ClusterType;
  readonly isTcp: boolean;
};

/**
 * One `server` line. Weight and `disabled` come in fixed places, because they are what an applier can
 * change in the running proxy; all else is structure.
 */
export function serverLine(
  node: NodeSlice,
  address: Address,
  admission: Admission,
  context: ServerLineContext,
  warn: (problem: string) => void,
): string {
  const { attributes } = node;
  const parameters = parametersOf(node, address, context, warn);
  const weight = admission === "drain" ? 0 : weightOf(node, warn);
  const parts = ["server", serverName(address), serverAddress(address)];
  if (weight !== null) parts.push(`weight ${weight}`);
  if (admission === "disabled") parts.push("disabled");
  parts.push(...parameters);
  const comment = attributes["comment"];
  if (typeof comment === "string" && comment !== "") {
    if (hasControlCharacter(comment)) warn(`attribute "comment" holds a control character: left out`);
    else parts.push(`# ${comment}`);
  }
  return parts.join(" ");
}

/** A name that depends on the address alone, so that a server keeps its identity when others come and go. */
export function serverName(address: Address): string {
  if (address.kind === "tcp") return `${address.host.replaceAll("%", "_")}:${address.port}`;
  const name = `unix${address.path.replaceAll("/", "_")}`;
  // `/a/b` and `/a_b` would share a name.
  const tag = createHash("sha256").update(address.path).digest("hex").slice(0, 6);
  return `${name}-${tag}`;
}

function serverAddress(address: Address): string {
  if (address.kind === "unix") return `unix@${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function weightOf(node: NodeSlice, warn: (problem: string) => void): number | null {
  const value = node.attributes["weight"];
  if (value === undefined) return null;
  const weight = integerOf(value);
  if (weight !== null && weight >= 0 && weight <= WEIGHT_MAX) return weight;
  warn(
    `attribute "weight" is ${JSON.stringify(value)}, expected a whole number from 0 to ${WEIGHT_MAX}: left out`,
  );
  return null;
}

function parametersOf(
  node: NodeSlice,
  address: Address,
  context: ServerLineContext,
  warn: (problem: string) => void,
): readonly string[] {
  const values = new Map<string, string | number | boolean>();
  for (const key in node.attributes) {
    const value = node.attributes[key];
    const name = key.includes("_") ? key.replaceAll("_", "-") : key;
    if (value !== undefined && SERVER_PARAMETERS.has(name)) values.set(name, value);
  }
  addDefaults(values, address, context);
  if (values.size === 0) return [];

  const written: string[] = [];
  const ordered = values.size === 1 ? values : [...values].sort(byPlace);
  for (const [name, value] of ordered) {
    const parameter = writeParameter(name, value);
    if (parameter.kind === "written") written.push(parameter.text);
    if (parameter.kind === "refused") {
      warn(`attribute "${name}" is ${JSON.stringify(value)}, expected ${parameter.expected}: left out`);
    }
  }
  return written;
}

function propose(
  values: Map<string, string | number | boolean>,
  name: string,
  value: string | number | boolean,
): void {
  if (!values.has(name)) values.set(name, value);
}

const PLACES: ReadonlyMap<string, number> = new Map(
  [...SERVER_PARAMETERS.keys()].map((name, at) => [name, at]),
);

/** HAProxy takes any order; ours is fixed, so that equal attributes give equal bytes. */
function byPlace([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return (PLACES.get(a) ?? 0) - (PLACES.get(b) ?? 0);
}

/** What the balancer's configuration adds where the node says nothing itself. */
function addDefaults(
  values: Map<string, string | number | boolean>,
  address: Address,
  { balancer, clusterType, isTcp }: ServerLineContext,
): void {
  if (balancer.isCheckedByProxy) propose(values, "check", true);
  // HAProxy ramps the weight when a server returns at runtime or by its own check; never after a reload.
  if (balancer.slowStartMs > 0) propose(values, "slowstart", `${Math.round(balancer.slowStartMs)}ms`);
  // Clients of a connection-bound service would stay with a dead or demoted server for ever.
  if (isTcp) propose(values, "on-marked-down", "shutdown-sessions");
  if (clusterType === "grpc" && !isTcp && values.get("ssl") !== true) propose(values, "proto", "h2");
  // HAProxy refuses the whole configuration when `ssl` has no word on verification; the safe word is this.
  if (values.get("ssl") === true && !values.has("verify") && !values.has("ca-file")) {
    values.set("verify", "required");
    values.set("ca-file", "@system-ca");
  }
  // A name that does not resolve must not make HAProxy refuse all other servers.
  if (address.kind === "tcp" && !isLiteral(address.host)) propose(values, "init-addr", "last,libc,none");
}

function isLiteral(host: string): boolean {
  return host.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}

/** Why an address cannot stand on a server line; null when it can. */
export function addressProblem(address: Address): string | null {
  if (address.kind === "tcp" && address.host.includes("%")) {
    return "HAProxy knows no IPv6 zones: use an address without %";
  }
  return isName(serverName(address)) ? null : "its server name would be longer than 200 characters";
}
