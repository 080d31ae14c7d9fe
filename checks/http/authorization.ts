import { stat } from "node:fs/promises";
import type { BasicAuth } from "../../common/config/checks/http-parts.js";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import { readSecret } from "../tls-options.js";

/** A rotated secret counts after this many milliseconds at the latest. */
const LOOK_AGAIN_MS = 2_000;

/** The Authorization header of the next request; undefined: none. */
export type Authorization = () => string | undefined | Promise<string>;

export type AuthorizationOptions = {
  readonly basic_auth?: BasicAuth | undefined;
  readonly bearer_token_file?: string | undefined;
};

/**
 * Makes the Authorization header. Secrets from files are read again when the file changes.
 * The result throws ClusterduckError CONFIG_UNREADABLE while a file cannot be read or is empty.
 */
export function createAuthorization(options: AuthorizationOptions, clock: Clock): Authorization {
  const { basic_auth: basic, bearer_token_file: tokenFile } = options;
  if (tokenFile !== undefined) {
    const token = secretFile(tokenFile, "bearer_token_file", clock);
    return async () => `Bearer ${await token()}`;
  }
  if (basic === undefined) return () => undefined;
  if (basic.password_file === undefined) {
    const header = basicHeader(basic.username, basic.password ?? "");
    return () => header;
  }
  const password = secretFile(basic.password_file, "basic_auth.password_file", clock);
  return async () => basicHeader(basic.username, await password());
}

function basicHeader(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function secretFile(path: string, option: string, clock: Clock): () => Promise<string> {
  let known: { readonly secret: string; readonly version: string } | null = null;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (known !== null && clock.monotonicMs() - lookedAtMs < LOOK_AGAIN_MS) return known.secret;
    const version = await versionOf(path, option);
    if (known?.version !== version) {
      const secret = (await readSecret(path, option)).trim();
      // What no header can carry would otherwise be refused by the HTTP client without naming the file.
      if (!/^[\u0020-\u007e\u0080-\u00ff]+$/.test(secret)) {
        throw new ClusterduckError(
          "CONFIG_UNREADABLE",
          `Cannot use ${option} "${path}": expected one line of text`,
        );
      }
      known = { secret, version };
    }
    lookedAtMs = clock.monotonicMs();
    return known.secret;
  };
}

async function versionOf(path: string, option: string): Promise<string> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await stat(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch (cause) {
    throw new ClusterduckError("CONFIG_UNREADABLE", `Cannot read ${option} "${path}": ${messageOf(cause)}`, {
      cause,
    });
  }
}
