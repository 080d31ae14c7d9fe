import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../common/clock.js";
import type { TlsConfig } from "../../common/config/model.js";
import { silentLogger } from "../../common/logger.js";
import type { Logger } from "../../common/logger.js";
import type { PeerIdentity, PeerRole } from "../../common/tls/identity.js";
import { createAuthority, issueCertificate } from "../../common/tls/issue.js";
import type { KeyPair } from "../../common/tls/issue.js";
import { openTlsSource } from "../../common/tls/source.js";
import type { TlsSource } from "../../common/tls/source.js";

type Options = {
  readonly hosts?: readonly string[];
  /** When it is made; it holds for `lifetimeMs` from then. Default: now, for a day. */
  readonly wallMs?: number;
  readonly lifetimeMs?: number;
  readonly cluster?: string;
  /** Trust another authority's certificates, too or instead. */
  readonly ca?: string;
};

/** An authority of our own making and the certificates it signs, in a folder of theirs. */
export type TestTlsTier = {
  readonly folder: string;
  readonly ca: string;
  readonly issue: (role: PeerRole, name: string, options?: Options) => Promise<TlsConfig>;
  /** Writes another certificate and key to where the first ones are. */
  readonly replace: (files: TlsConfig, identity: PeerIdentity, options?: Options) => Promise<void>;
  readonly open: (config: TlsConfig, role: PeerRole, logger?: Logger) => Promise<TlsSource>;
  readonly remove: () => void;
};

export const DAY_MS = 86_400_000;
const LOOPBACK = ["localhost", "127.0.0.1", "::1"];

export async function createTlsTier(cluster = "test"): Promise<TestTlsTier> {
  const folder = mkdtempSync(join(tmpdir(), "duck-tls-"));
  // Old enough for certificates that ended long ago.
  const authority = await createAuthority({ cluster, wallMs: Date.now() - 365 * DAY_MS });
  let issued = 0;
  const make = (identity: PeerIdentity, options: Options): Promise<KeyPair> =>
    issueCertificate(authority, {
      identity,
      hosts: options.hosts ?? LOOPBACK,
      wallMs: options.wallMs ?? Date.now(),
      lifetimeMs: options.lifetimeMs ?? DAY_MS,
    });
  const write = (files: TlsConfig, { cert, key }: KeyPair, ca: string): void => {
    writeFileSync(files.ca, ca);
    writeFileSync(files.cert, cert);
    writeFileSync(files.key, key, { mode: 0o600 });
  };
  return {
    folder,
    ca: authority.cert,
    issue: async (role, name, options = {}) => {
      const place = join(folder, `${role}-${name}-${++issued}`);
      const files = { ca: `${place}.ca`, cert: `${place}.crt`, key: `${place}.key` };
      write(
        files,
        await make({ role, name, cluster: options.cluster ?? cluster }, options),
        options.ca ?? authority.cert,
      );
      return files;
    },
    replace: async (files, identity, options = {}) =>
      write(files, await make(identity, options), options.ca ?? authority.cert),
    open: (config, role, logger = silentLogger) =>
      openTlsSource({ config, expected: { role }, clock: systemClock, logger }),
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }),
  };
}
