import type { Clock } from "../../common/clock.js";
import type { ListenConfig } from "../../common/config/model.js";
import { ClusterduckError } from "../../common/errors.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { bindService } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
import type { TlsSource } from "../../common/tls/source.js";
import { RaftService } from "../../proto/gen/clusterduck/v1/raft_pb.js";
import { assertSpeaksForItself } from "./peer-name.js";
import { belongsToNoTier, tierlessService } from "./tierless-service.js";

/** Members try every second at least to reach those that are away. Milliseconds. */
const LISTEN_MS = 2_500;

/**
 * A coordinator that is about to begin a tier of its own may be one that lost its data directory, and nothing on
 * its disk says so. But the others of its tier keep calling it by its name: it listens for them first.
 * @throws ClusterduckError CONFLICT with the remedy when they do; LISTEN_FAILED.
 */
export async function assertUnknown(options: {
  readonly id: string;
  readonly listen: ListenConfig;
  readonly tls: TlsSource | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { id, listen, tls, clock, logger, signal } = options;
  const called = new AbortController();
  const heard: { from: string; clusterId: string }[] = [];
  const service = bindService(
    RaftService,
    {
      exchange: async function* (requests, { identity }) {
        for await (const { envelope } of requests) {
          if (envelope === undefined) break;
          assertSpeaksForItself(envelope.from, identity);
          if (envelope.to === id && envelope.clusterId !== "" && envelope.from !== id) {
            heard.push(envelope);
            called.abort();
          }
          break;
        }
        throw belongsToNoTier(id);
      },
      installSnapshot: async function* () {
        throw belongsToNoTier(id);
      },
    },
    ["member"],
  );
  const server = await createGrpcServer({
    listen,
    logger: logger.child("raft"),
    services: [service, tierlessService(id)],
    tls,
  });
  try {
    await clock.sleep(LISTEN_MS, AbortSignal.any([called.signal, signal]));
  } finally {
    await server.close(0);
  }
  const [caller] = heard;
  if (caller !== undefined) throw wiped(id, caller);
  if (signal.aborted) throw new ClusterduckError("STOPPING", "Stopped before a tier was begun");
}

function wiped(
  id: string,
  { from, clusterId }: { readonly from: string; readonly clusterId: string },
): ClusterduckError {
  return new ClusterduckError(
    "CONFLICT",
    `Coordinator "${id}" was a member of tier ${clusterId}, says coordinator "${from}", and has lost its data directory: it forgot which votes it gave, so it may not come back under its old id`,
    {
      hint: `On another member: duckctl coordinators remove ${id}; then give this one another id and let it join: duckctl tokens create NEW_ID`,
    },
  );
}
