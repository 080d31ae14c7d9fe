import type { LiveNames } from "./completion.js";
import type { CliIo } from "./io.js";
import { openConnection } from "./connection.js";
import type { Connection } from "./connection.js";
import { createTierClient } from "./tier-client.js";

/** A shell waits for us at every Tab: live names come at once or not at all. Milliseconds. */
const NAMES_TIMEOUT_MS = 700;

/** Names of what lives, for completion; empty when no coordinator answers in time. */
export async function liveNames(io: CliIo, server: string | undefined): Promise<LiveNames> {
  try {
    return await askNames(await openConnection(server === undefined ? {} : { server }, io.env));
  } catch {
    return { clusters: [], nodes: [], triggers: [], balancers: [] };
  }
}

async function askNames(connection: Connection): Promise<LiveNames> {
  const client = createTierClient(connection, true);
  const call = { timeoutMs: NAMES_TIMEOUT_MS };
  try {
    const [{ clusters }, { nodes }, { triggers }, { balancers }] = await Promise.all([
      client.control.listClusters({}, call),
      client.control.listNodes({}, call),
      client.control.listTriggers({}, call),
      client.control.listBalancers({}, call),
    ]);
    return {
      clusters: clusters.map((cluster) => cluster.name),
      nodes: nodes.map((node) => `${node.cluster}/${node.addr}`),
      triggers: triggers.map((trigger) => `${trigger.cluster}/${trigger.id}`),
      balancers: balancers.map((balancer) => balancer.name),
    };
  } finally {
    client.close();
  }
}
