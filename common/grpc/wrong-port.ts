import { CONFIG_DEFAULTS } from "../config/defaults.js";
import { ClusterduckError } from "../errors.js";
import { isAnswer, UNKNOWN_CALL } from "./status.js";

const [GRPC, HTTP] = [CONFIG_DEFAULTS.coordinator.grpc.port, CONFIG_DEFAULTS.coordinator.http.port];
const RAFT = CONFIG_DEFAULTS.raft.address.port;
/** How a server of HTTP/1 shows, to a client without TLS and to one with it. */
const OTHER_PROTOCOL = /Protocol error|no application protocol/;
/** What coordinators ask of each other. */
const AMONG_COORDINATORS: ReadonlySet<string> = new Set([
  "clusterduck.v1.TierService",
  "clusterduck.v1.RaftService",
]);

/**
 * Something listens at `address`, but not what was called: a coordinator has three ports, and one is easily taken for
 * another. Any other error is given back as it is.
 * @param service The full name of the one that was called.
 */
export function explainWrongPort(
  error: ClusterduckError,
  { address, service }: { readonly address: string; readonly service: string },
): ClusterduckError {
  // Passed on by the one that was called: it is about another address.
  if (isAnswer(error)) return error;
  const isOurs = error.code === "INVALID_ARGUMENT" && error.message.includes(UNKNOWN_CALL);
  const isOther = error.code === "UNREACHABLE" && OTHER_PROTOCOL.test(error.message);
  if (!isOurs && !isOther) return error;
  const isAmong = AMONG_COORDINATORS.has(service);
  const message = isOther
    ? `Cannot reach ${address}: what listens there does not speak gRPC; it may be a coordinator's HTTP port`
    : `${error.message}: it is not where ${isAmong ? "coordinators listen for each other" : "a coordinator listens for duckctl and agents"}, or is of another version`;
  const hint = isAmong
    ? `Name a coordinator's raft address, usually port ${RAFT} (transports: [{type: raft, address: …}]); not its gRPC port (usually ${GRPC}), nor its HTTP port (usually ${HTTP})`
    : `Name a coordinator's gRPC port, usually ${GRPC} (coordinator.listen); not the one for other coordinators (usually ${RAFT}), nor its HTTP port (usually ${HTTP})`;
  return new ClusterduckError(error.code, message, { cause: error, hint });
}
