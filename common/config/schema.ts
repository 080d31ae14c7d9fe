import { z } from "zod";
import { cluster } from "./schema/cluster.js";
import { namedBalancer } from "./schema/balancer.js";
import { agent, coordinator, transport } from "./schema/daemons.js";
import { name } from "./schema/values.js";

/** The whole file. Clusters at the top level have been moved below `clusters` before this sees them. */
export const fileSchema = z.strictObject({
  clusters: z.record(name, cluster).prefault({}).describe("What is watched, by name"),
  balancers: z.record(name, namedBalancer).prefault({}).describe("Proxies over several clusters, by name"),
  transports: z.array(transport).prefault([]).describe("Where coordinators meet and where HTTP is served"),
  coordinator: coordinator.prefault({}).describe("This host's duck-coordinator"),
  agent: agent.prefault({}).describe("This host's duck-agent"),
});
export type FileEntries = z.output<typeof fileSchema>;

export const TOP_LEVEL_KEYS: readonly string[] = Object.keys(fileSchema.shape);
