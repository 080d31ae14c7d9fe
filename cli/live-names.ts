import { createGrpcClient } from "../common/grpc/client.js";
import { ControlService } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { LiveNames } from "./completion.js";
import type { CliIo } from "./io.js";
import { serverOf } from "./session.js";

/** A shell waits for us at every Tab: live names come at once or not at all. Milliseconds. */
const NAMES_TIMEOUT_MS = 700;

/** Names of clusters and nodes, for completion; empty when no coordinator answers in time. */
export async function liveNames(io: CliIo): Promise<LiveNames> {
  const client = createGrpcClient(ControlService, serverOf({}, io.env));
  try {
    const [{ clusters }, { nodes }] = await Promise.all([
      client.call.listClusters({}, { timeoutMs: NAMES_TIMEOUT_MS }),
      client.call.listNodes({}, { timeoutMs: NAMES_TIMEOUT_MS }),
    ]);
    return {
      clusters: clusters.map((cluster) => cluster.name),
      nodes: nodes.map((node) => `${node.cluster}/${node.addr}`),
    };
  } catch {
    return { clusters: [], nodes: [] };
  } finally {
    client.close();
  }
}
