import { formatDuration } from "../common/duration.js";
import { isUnsent } from "../common/grpc/unsent.js";
import { ClusterduckError, messageOf } from "../common/errors.js";
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
    throw explainUnreachable(thrown, connection.servers, client.failures, options.timeout);
  } finally {
    client.close();
  }
}

function explainUnreachable(
  thrown: unknown,
  servers: readonly string[],
  failures: ReadonlyMap<string, unknown>,
  timeoutMs: number,
): unknown {
  if (!(thrown instanceof ClusterduckError)) return thrown;
  const { code, message, hint } = thrown;
  const server = servers.find((each) => failures.get(each) === thrown) ?? servers.join(", ");
  if (code === "TIMED_OUT") {
    return new ClusterduckError("TIMED_OUT", `No answer from ${server} within ${formatDuration(timeoutMs)}`, {
      cause: thrown,
      hint: "give it longer with --timeout, as in --timeout 30s",
    });
  }
  if (code !== "UNREACHABLE") return thrown;
  const wordsOf = (each: string): string => {
    const failure = failures.get(each) ?? thrown;
    return isUnsent(failure) || failure === thrown ? reasonOf(messageOf(failure)) : messageOf(failure);
  };
  const words = isUnsent(thrown) ? servers.map(wordsOf) : [reasonOf(message)];
  return new ClusterduckError(
    "UNREACHABLE",
    hint !== undefined
      ? message
      : new Set(words).size === 1
        ? `Cannot reach a coordinator at ${isUnsent(thrown) ? servers.join(", ") : server}${words[0] === "" ? "" : `: ${words[0]}`}`
        : `Cannot reach a coordinator: ${servers.map((each, at) => `${each}: ${words[at] || "no answer"}`).join("; ")}`,
    {
      cause: thrown,
      hint: hint ?? "start one with `duck-coordinator`, or name it with --server HOST:PORT or DUCK_SERVER",
    },
  );
}

/** The few words of a transport's error that help. */
function reasonOf(message: string): string {
  if (/ECONNREFUSED/.test(message)) return "connection refused";
  if (/Name resolution failed|ENOTFOUND|EAI_AGAIN/.test(message)) return "the host's name is not known";
  if (/ENOENT/.test(message)) return "there is no such socket";
  if (/EACCES|EPERM/.test(message)) return "permission denied";
  if (/ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|no connection (within|in time)/.test(message))
    return "the host does not answer";
  if (/ECONNRESET|Protocol error|PROTOCOL_ERROR|HPE_|closed/i.test(message))
    return "what listens there does not speak gRPC";
  return "";
}
