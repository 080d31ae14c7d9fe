import { createGrpcClient } from "../common/grpc/client.js";
import type { ServiceClient } from "../common/grpc/service.js";
import { ClusterduckError } from "../common/errors.js";
import { ControlService } from "../proto/gen/clusterduck/v1/control_pb.js";
import type { CliIo } from "./io.js";
import type { Format } from "./output/print.js";

export type GlobalOptions = {
  readonly server?: string;
  readonly output: Format;
  readonly timeout: number;
};

export type Control = ServiceClient<typeof ControlService>;

/** What a command works with. */
export type Session = {
  readonly io: CliIo;
  readonly format: Format;
  readonly control: Control;
  /** For calls that answer once. */
  readonly call: { readonly signal: AbortSignal; readonly timeoutMs: number };
};

/** The embedded form and a coordinator beside us listen here. */
export const DEFAULT_SERVER = "127.0.0.1:7400";

/** Precedence: flag, then DUCK_SERVER, then the coordinator on this host. */
export function serverOf(options: Pick<GlobalOptions, "server">, env: CliIo["env"]): string {
  const server = options.server ?? env["DUCK_SERVER"] ?? "";
  return server === "" ? DEFAULT_SERVER : server;
}

/** Opens a session for one command and closes it whatever happens. */
export async function withSession<Result>(
  io: CliIo,
  options: GlobalOptions,
  use: (session: Session) => Promise<Result>,
): Promise<Result> {
  const server = serverOf(options, io.env);
  const client = createGrpcClient(ControlService, server);
  try {
    return await use({
      io,
      format: options.output,
      control: client.call,
      call: { signal: io.signal, timeoutMs: options.timeout },
    });
  } catch (thrown) {
    throw explainUnreachable(thrown, server);
  } finally {
    client.close();
  }
}

function explainUnreachable(thrown: unknown, server: string): unknown {
  if (!(thrown instanceof ClusterduckError) || thrown.code !== "UNREACHABLE") return thrown;
  return new ClusterduckError("UNREACHABLE", `Cannot reach a coordinator at ${server}`, {
    cause: thrown,
    hint: "start one with `duck-coordinator`, or name it with --server HOST:PORT or DUCK_SERVER",
  });
}
