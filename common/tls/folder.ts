import { randomUUID } from "node:crypto";
import type { Stats } from "node:fs";
import { chmod, chown, link, mkdir, open, readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { ClusterduckError, messageOf } from "../errors.js";
import { localAddresses } from "../net/host-identity.js";
import { parseCertificates } from "./certificate.js";
import type { Certificate } from "./certificate.js";
import { describeIdentity } from "./identity.js";
import type { PeerIdentity, PeerRole } from "./identity.js";
import type { KeyPair } from "./issue.js";

/* Where certificates lie, and how they get there: whole or not at all, keys for their owner alone. */

export const DEFAULT_TLS_FOLDER = "/etc/clusterduck/tls";

export type PairFiles = { readonly cert: string; readonly key: string };

export function authorityFiles(folder: string): PairFiles {
  return { cert: join(folder, "ca.crt"), key: join(folder, "ca.key") };
}

export function leafFiles(folder: string, { role, name }: Pick<PeerIdentity, "role" | "name">): PairFiles {
  return { cert: join(folder, `${role}-${name}.crt`), key: join(folder, `${role}-${name}.key`) };
}

/** Everything on a host calls its coordinator so. */
const LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "::1"];

/** What a certificate is for when nobody says: a member is called by the name of its host, others by none. */
export function defaultHosts({ role, name }: Pick<PeerIdentity, "role" | "name">): readonly string[] {
  if (role !== "member") return [];
  const own = name === hostname() ? localAddresses() : [];
  const named = /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$/.test(name) ? [name] : [];
  return [...named, ...own, ...LOOPBACK_HOSTS];
}

/** A member is always reached over loopback too. */
export function withLoopback(role: PeerRole, hosts: readonly string[]): readonly string[] {
  return role === "member" ? [...new Set([...hosts, ...LOOPBACK_HOSTS])] : hosts;
}

/**
 * Writes a pair that was not there before.
 * @param what Whose it is, for the message.
 * @throws ClusterduckError CONFLICT when one of the files exists; then nothing was written. DISK_FAILED.
 */
export async function createPair(files: PairFiles, pair: KeyPair, what: string, hint: string): Promise<void> {
  await inFolder(files.key);
  await createFile(files.key, pair.key, 0o600, { what, hint });
  try {
    await createFile(files.cert, pair.cert, 0o644, { what, hint });
  } catch (thrown) {
    await rm(files.key, { force: true });
    throw thrown;
  }
}

/** Replaces a pair; owner and mode of files that were there stay, as a program may run as another user. Between the two files a reader may see halves that do not fit: it looks again. */
export async function replacePair(files: PairFiles, pair: KeyPair): Promise<void> {
  await inFolder(files.key);
  await replaceFile(files.key, pair.key, 0o600);
  await replaceFile(files.cert, pair.cert, 0o644);
}

async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  await withTemporary(file, text, mode, async (temporary) => {
    const before = await statOrNull(file);
    if (before !== null) {
      await chmod(temporary, before.mode & 0o777);
      if (process.getuid?.() === 0) await chown(temporary, before.uid, before.gid);
    }
    await rename(temporary, file);
  });
}

async function statOrNull(file: string): Promise<Stats | null> {
  try {
    return await stat(file);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw thrown;
  }
}

/** @throws ClusterduckError NOT_FOUND, CONFIG_UNREADABLE, CONFIG_INVALID */
export async function readAuthority(
  files: PairFiles,
): Promise<KeyPair & { readonly certificate: Certificate; readonly cluster: string }> {
  const [cert, key] = await Promise.all([readPem(files.cert), readPem(files.key)]);
  if (cert === null) {
    throw new ClusterduckError("NOT_FOUND", `No certificate authority: there is no "${files.cert}"`, {
      hint: "duckctl tls init",
    });
  }
  const [certificate] = parseCertificates(cert, `"${files.cert}"`);
  if (key === null) {
    throw new ClusterduckError(
      "NOT_FOUND",
      `Cannot issue certificates here: the authority's key "${files.key}" is not on this host`,
      { hint: "Issue on the host where `duckctl tls init` ran, and copy the files" },
    );
  }
  const cluster = /^clusterduck CA (\S+) [0-9a-f]{6}$/.exec(certificate.commonName)?.[1];
  if (cluster === undefined || !certificate.isAuthority) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Cannot issue certificates with "${files.cert}": it is not an authority made by \`duckctl tls init\``,
    );
  }
  return { cert, key, certificate, cluster };
}

export type FoundCertificate = { readonly file: string; readonly certificate: Certificate };

/** The first certificate of each file, the authority first. @throws ClusterduckError NOT_FOUND, CONFIG_INVALID */
export async function listCertificates(folder: string): Promise<readonly FoundCertificate[]> {
  let names: readonly string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    throw new ClusterduckError("NOT_FOUND", `Cannot read folder "${folder}": ${messageOf(cause)}`, {
      cause,
      hint: "duckctl tls init, or name another with --dir",
    });
  }
  const files = names.filter((name) => name.endsWith(".crt")).sort();
  const found = await Promise.all(files.map((name) => readCertificateFile(join(folder, name))));
  return found.sort(
    (left, right) => Number(right.certificate.isAuthority) - Number(left.certificate.isAuthority),
  );
}

/** @throws ClusterduckError NOT_FOUND, CONFIG_UNREADABLE, CONFIG_INVALID */
export async function readCertificateFile(file: string): Promise<FoundCertificate> {
  const pem = await readPem(file);
  if (pem === null) throw new ClusterduckError("NOT_FOUND", `There is no file "${file}"`);
  return { file, certificate: parseCertificates(pem, `"${file}"`)[0] };
}

/** Null: there is no such file. @throws ClusterduckError CONFIG_UNREADABLE */
export async function readPem(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new ClusterduckError("CONFIG_UNREADABLE", `Cannot read "${file}": ${messageOf(cause)}`, { cause });
  }
}

async function inFolder(file: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

/** Appears under its name with all of its text, and only where nothing was. */
async function createFile(
  file: string,
  text: string,
  mode: number,
  told: { readonly what: string; readonly hint: string },
): Promise<void> {
  await withTemporary(file, text, mode, async (temporary) => {
    try {
      await link(temporary, file);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
      throw new ClusterduckError("CONFLICT", `Cannot make ${told.what}: "${file}" is there already`, {
        hint: told.hint,
      });
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

async function withTemporary(
  file: string,
  text: string,
  mode: number,
  use: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, "wx", mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await use(temporary);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause instanceof ClusterduckError ? cause : unwritable(file, cause);
  }
}

function unwritable(file: string, cause: unknown): ClusterduckError {
  const code = (cause as NodeJS.ErrnoException).code;
  const isDenied = code === "EACCES" || code === "EPERM" || code === "EROFS";
  return new ClusterduckError(
    "DISK_FAILED",
    `Cannot write "${file}": ${isDenied ? "permission denied" : messageOf(cause)}`,
    { cause, ...(isDenied ? { hint: "Run it as root, or name a folder of yours with --dir" } : {}) },
  );
}

/** What a file is for, in the words of a list. */
export function purposeOf(certificate: Certificate): string {
  if (certificate.identity !== null) return describeIdentity(certificate.identity);
  return certificate.isAuthority ? "authority" : JSON.stringify(certificate.commonName);
}
