import { openConnection } from "./connection.js";
import type { ConnectionFlags } from "./connection.js";
import { explainUnreachable } from "./explain-unreachable.js";
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
    const { servers } = connection;
    throw explainUnreachable(thrown, { servers, failures: client.failures, timeoutMs: options.timeout });
  } finally {
    client.close();
  }
}
