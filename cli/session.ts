import { formatDuration } from "../common/duration.js";
import { isUnsent } from "../common/grpc/unsent.js";
import { ClusterduckError } from "../common/errors.js";
import { openConnection } from "./connection.js";
import type { ConnectionFlags } from "./connection.js";
import type { CliIo } from "./io.js";
import type { Format } from "./output/print.js";
import { createTierClient } from "./tier-client.js";
import type { Control } from "./tier-client.js";

export type GlobalOptions = ConnectionFlags & {
  readonly output: Format;
  readonly timeout: number;
  readonly stale?: true;
};

/** What a command works with. */
export type Session = {
  readonly io: CliIo;
  readonly format: Format;
  readonly control: Control;
  /** For calls that answer once. */
  readonly call: { readonly signal: AbortSignal; readonly timeoutMs: number };
};

/** Opens a session for one command and closes it whatever happens. */
export async function withSession<Result>(
  io: CliIo,
  options: GlobalOptions,
  use: (session: Session) => Promise<Result>,
): Promise<Result> {
  const connection = await openConnection(options, io.env);
  const client = createTierClient(connection, options.stale === true);
  try {
    return await use({
      io,
      format: options.output,
      control: client.control,
      call: { signal: io.signal, timeoutMs: options.timeout },
    });
  } catch (thrown) {
    const asked = isUnsent(thrown) ? connection.servers.join(", ") : client.server();
    throw explainUnreachable(thrown, asked, options.timeout);
  } finally {
    client.close();
  }
}

function explainUnreachable(thrown: unknown, server: string, timeoutMs: number): unknown {
  if (!(thrown instanceof ClusterduckError)) return thrown;
  if (thrown.code === "TIMED_OUT") {
    return new ClusterduckError("TIMED_OUT", `No answer from ${server} within ${formatDuration(timeoutMs)}`, {
      cause: thrown,
      hint: "give it longer with --timeout, as in --timeout 30s",
    });
  }
  if (thrown.code !== "UNREACHABLE") return thrown;
  const why = reasonOf(thrown.message);
  return new ClusterduckError(
    "UNREACHABLE",
    thrown.hint === undefined
      ? `Cannot reach a coordinator at ${server}${why === "" ? "" : `: ${why}`}`
      : thrown.message,
    {
      cause: thrown,
      hint:
        thrown.hint ?? "start one with `duck-coordinator`, or name it with --server HOST:PORT or DUCK_SERVER",
    },
  );
}

/** The few words of a transport's error that help. */
function reasonOf(message: string): string {
  if (/ECONNREFUSED/.test(message)) return "connection refused";
  if (/Name resolution failed|ENOTFOUND|EAI_AGAIN/.test(message)) return "the host's name is not known";
  if (/ENOENT/.test(message)) return "there is no such socket";
  if (/EACCES|EPERM/.test(message)) return "permission denied";
  if (/ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|no connection within/.test(message))
    return "the host does not answer";
  if (/ECONNRESET|Protocol error|PROTOCOL_ERROR|HPE_|closed/i.test(message))
    return "what listens there does not speak gRPC";
  return "";
}
