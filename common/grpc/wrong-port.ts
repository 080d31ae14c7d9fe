import { ClusterduckError } from "../errors.js";
import { UNKNOWN_CALL } from "./status.js";

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
  const isOurs = error.code === "INVALID_ARGUMENT" && error.message.includes(UNKNOWN_CALL);
  const isOther = error.code === "UNREACHABLE" && OTHER_PROTOCOL.test(error.message);
  if (!isOurs && !isOther) return error;
  const message = isOther
    ? `Cannot reach ${address}: what listens there does not speak gRPC; it may be a coordinator's HTTP port`
    : `${error.message}: ${AMONG_COORDINATORS.has(service) ? "it is not where coordinators listen for each other" : "it is not where a coordinator listens for duckctl and agents"}`;
  return new ClusterduckError(error.code, message, { cause: error, hint: rightPort(service) });
}

function rightPort(service: string): string {
  return AMONG_COORDINATORS.has(service)
    ? "Name a coordinator's raft address, usually port 9910 (transports: [{type: raft, address: …}]); not its gRPC port (usually 7400), nor its HTTP port (usually 8484)"
    : "Name a coordinator's gRPC port, usually 7400 (coordinator.listen); not the one for other coordinators (usually 9910), nor its HTTP port (usually 8484). It may also be of another version";
}
