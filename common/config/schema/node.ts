import { z } from "zod";
import type { NodeConfig } from "../model.js";
import { address, line } from "./values.js";

const flag = z.boolean();
const count = z.int().min(0);
/** Kept as written: it goes into a proxy's file in the proxy's own spelling. */
const proxyTime = z.union([line, z.int().min(0)], { error: "expected a time such as 10s" });
const free = z.union([line, z.number(), z.boolean()], { error: "expected text, a number, true or false" });

const attributeShape = {
  disabled: flag.optional().describe("Take the node out until somebody enables it"),
  spare: flag.optional().describe("Keep the node in reserve for min_active_nodes"),
  comment: line.optional().describe("For people"),
  weight: z
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe("Share of the traffic, relative to the other nodes; HAProxy takes up to 256"),
  maxconn: count.optional().describe("HAProxy: connections at once"),
  cookie: free.optional().describe("HAProxy: value of the cookie that leads to this node"),
  check: flag.optional().describe("HAProxy: check this server as well"),
  backup: flag.optional().describe("Use only when the others are gone"),
  max_conns: count.optional().describe("nginx: connections at once"),
  max_fails: count.optional().describe("nginx: failures within fail_timeout before it is passed over"),
  fail_timeout: proxyTime.optional().describe("nginx"),
  route: line.optional().describe("nginx: route name"),
  service: line.optional().describe("nginx: SRV service name"),
  slow_start: proxyTime.optional().describe("nginx: time over which the weight grows back"),
  down: flag.optional().describe("nginx: mark as permanently down"),
  resolve: flag.optional().describe("nginx: follow changes of the name's addresses"),
  drain: flag.optional().describe("nginx: only bound requests"),
};

/** Attributes alone, as a command gives them: the same rules as in a file. */
export const nodeAttributes = z.object(attributeShape).catchall(free).superRefine(haveNames);

/** A node with attributes. Known ones are checked; others are free and passed on. */
export const nodeObject = z
  .object({ addr: address.describe("host:port, [v6]:port or unix:/path"), ...attributeShape })
  .catchall(free)
  .superRefine(haveNames);

function haveNames(attributes: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void {
  for (const key of Object.keys(attributes)) {
    if (/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/.test(key)) continue;
    context.addIssue({
      code: "custom",
      path: [key],
      message: "is not a name of an attribute: use letters, digits, _ . and -",
    });
  }
}

/** One entry of `nodes`: an address, or a mapping with `addr`. */
export const node = z
  .union([address, nodeObject], { error: "expected a node: host:port, or a mapping with addr" })
  .transform((value) => (typeof value === "string" ? toNode({ addr: value }) : toNode(value)));

export function toNode(value: z.output<typeof nodeObject>): NodeConfig {
  const { addr, disabled, spare, ...attributes } = value;
  return {
    addr,
    attributes: attributes,
    isDisabled: disabled ?? false,
    isSpare: spare ?? false,
  };
}
