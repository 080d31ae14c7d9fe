import { resolve } from "node:path";

import { systemClock } from "../common/clock.js";
import type { TlsConfig } from "../common/config/model.js";
import { ClusterduckError } from "../common/errors.js";
import { silentLogger } from "../common/logger.js";
import { canonicalAddress } from "../common/model/address.js";
import { readTlsOnce } from "../common/tls/source.js";
import type { TlsSource } from "../common/tls/source.js";
import { contextNamed, readContexts } from "./contexts.js";
import type { Context } from "./contexts.js";
import type { CliIo } from "./io.js";

/** Options of every command that say which coordinator to ask, and how. */
export type ConnectionFlags = {
  readonly server?: string;
  readonly cacert?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly context?: string;
};

export type Connection = {
  /** Coordinators of one tier: the first that answers is asked. At least one. */
  readonly servers: readonly string[];
  /** Null: without TLS. */
  readonly tls: TlsSource | null;
};

/** The embedded form and a coordinator beside us listen here. */
export const DEFAULT_SERVER = "127.0.0.1:7400";

const DEFAULT_PORT = "7400";

/** @throws ClusterduckError INVALID_ARGUMENT, NOT_FOUND, CONFIG_INVALID, CONFIG_UNREADABLE */
export async function openConnection(flags: ConnectionFlags, env: CliIo["env"]): Promise<Connection> {
  const context = contextOf(flags, env);
  const servers = serversOf(flags, env, context);
  const config = tlsOf(flags, env, context);
  if (config === null) return { servers, tls: null };
  const tls = await readTlsOnce({ config, expected: {}, clock: systemClock, logger: silentLogger });
  return { servers, tls };
}

/** The context that counts; empty when there is none. @throws ClusterduckError NOT_FOUND, CONFIG_INVALID */
export function contextOf(flags: ConnectionFlags, env: CliIo["env"]): Context {
  const contexts = readContexts(env);
  const name = [flags.context, env["DUCK_CONTEXT"], contexts.current].find((each) => (each ?? "") !== "");
  return name === undefined ? {} : contextNamed(contexts, name);
}

/**
 * Precedence: flag, then DUCK_SERVER, then the context, then the coordinator on this host. A host alone means
 * the usual port; several are separated by commas.
 * @throws ClusterduckError INVALID_ARGUMENT for what cannot be an address.
 */
export function serversOf(
  flags: Pick<ConnectionFlags, "server">,
  env: CliIo["env"],
  context: Context = {},
): readonly string[] {
  const places = [
    { written: flags.server, word: "--server " },
    { written: env["DUCK_SERVER"], word: "DUCK_SERVER=" },
    { written: context.server, word: "duckctl contexts set NAME --server " },
  ];
  const place = places.find(({ written }) => (written ?? "").trim() !== "");
  if (place === undefined) return [DEFAULT_SERVER];
  const written = (place.written ?? "").split(",").map((each) => each.trim());
  return [...new Set(written.filter((each) => each !== "").map((each) => readServer(each, place.word)))];
}

function readServer(written: string, word: string): string {
  const isHostAlone = /^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.%]+\])$/.test(written);
  try {
    return canonicalAddress(isHostAlone ? `${written}:${DEFAULT_PORT}` : written);
  } catch (thrown) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Invalid server ${JSON.stringify(written)}: expected HOST, HOST:PORT, [v6]:PORT or unix:/PATH`,
      { cause: thrown, hint: `${word}${DEFAULT_SERVER}` },
    );
  }
}

/** Each of the three by itself: flag, then environment, then context. All or none. @throws ClusterduckError INVALID_ARGUMENT */
export function tlsOf(flags: ConnectionFlags, env: CliIo["env"], context: Context = {}): TlsConfig | null {
  const pick = (flag: string | undefined, variable: string, held: string | undefined): string | undefined => {
    const given = [flag, env[variable]].find((each) => (each ?? "") !== "");
    return given === undefined ? held : resolve(given);
  };
  const ca = pick(flags.cacert, "DUCK_CACERT", context.cacert);
  const cert = pick(flags.cert, "DUCK_CERT", context.cert);
  const key = pick(flags.key, "DUCK_KEY", context.key);
  if (ca !== undefined && cert !== undefined && key !== undefined) return { ca, cert, key };
  const missing = [
    ...(ca === undefined ? ["--cacert (DUCK_CACERT)"] : []),
    ...(cert === undefined ? ["--cert (DUCK_CERT)"] : []),
    ...(key === undefined ? ["--key (DUCK_KEY)"] : []),
  ];
  if (missing.length === 3) return null;
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Cannot connect with TLS: ${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing`,
    { hint: "make a certificate with duckctl tls issue client NAME, and name all three files" },
  );
}
