import "reflect-metadata";
import { KeyObject, createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Extension, JsonGeneralName, JsonName } from "@peculiar/x509";
import { formatDuration } from "../duration.js";
import { ClusterduckError } from "../errors.js";
import type { PeerIdentity, PeerRole } from "./identity.js";
import { identityUri } from "./identity.js";
import { roundDown } from "./words.js";

/** A certificate and its key, both in PEM form. */
export type KeyPair = { readonly cert: string; readonly key: string };

const DAY_MS = 86_400_000;
/** Ten years: replacing an authority touches every host, and its key never leaves the host that issues. */
export const AUTHORITY_LIFETIME_MS = 3_650 * DAY_MS;
/** A year and a month: renewing once a year is never late. */
export const LEAF_LIFETIME_MS = 397 * DAY_MS;
/** Shorter, and hosts whose clocks differ would not agree whether it holds. */
export const LEAF_LIFETIME_MIN_MS = 10 * 60_000;
/** Hosts' clocks differ: a certificate that was made now holds for one that is so much behind. */
const BACKDATED_MS = 5 * 60_000;

const KEY_ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE_ALGORITHM = { name: "ECDSA", hash: "SHA-256" } as const;

export type AuthorityRequest = {
  readonly cluster: string;
  readonly wallMs: number;
  readonly lifetimeMs?: number;
};

/** A new certificate authority. Its name differs from every other one's, so that two never look the same. */
export async function createAuthority(request: AuthorityRequest): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
  const name = `clusterduck CA ${request.cluster} ${randomBytes(3).toString("hex")}`;
  const cert = await signAuthority([{ CN: [name] }], keys, request);
  return { cert, key: exportKey(keys.privateKey) };
}

/** The same authority (name and key) with a new end: what it has signed stays good, under both. */
export async function renewAuthority(
  authority: KeyPair,
  request: Omit<AuthorityRequest, "cluster">,
): Promise<KeyPair> {
  const { certificate, signingKey } = await openAuthority(authority);
  const publicKey = (await certificate.publicKey.export()) as webcrypto.CryptoKey;
  const cert = await signAuthority(
    certificate.subjectName.toJSON(),
    { publicKey, privateKey: signingKey },
    request,
  );
  return { cert, key: authority.key };
}

export type LeafRequest = {
  readonly identity: PeerIdentity;
  /** DNS names and IP addresses under which the holder is reached. */
  readonly hosts: readonly string[];
  readonly wallMs: number;
  /** Default: `LEAF_LIFETIME_MS`, or what is left of the authority. */
  readonly lifetimeMs?: number;
};

/**
 * A certificate with a new key. It never outlives its authority.
 * @throws ClusterduckError CONFIG_INVALID when the authority cannot sign, INVALID_ARGUMENT for a lifetime that is
 * too short to be of use, or longer than the authority's.
 */
export async function issueCertificate(authority: KeyPair, request: LeafRequest): Promise<KeyPair> {
  const { identity, hosts, wallMs, lifetimeMs = LEAF_LIFETIME_MS } = request;
  const { certificate, signingKey } = await openAuthority(authority);
  if (certificate.notAfter.getTime() <= wallMs) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Cannot issue a certificate: the authority's own ended at ${certificate.notAfter.toISOString()}`,
      { hint: "duckctl tls renew --authority" },
    );
  }
  if (request.lifetimeMs !== undefined) {
    assertLifetime(request.lifetimeMs, { leftMs: certificate.notAfter.getTime() - wallMs });
  }
  const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ["sign", "verify"]);
  const leaf = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    issuer: certificate.subjectName.toJSON(),
    // A common name has at most 64 characters (X.520); the whole of the name stands in the URI.
    subject: [{ CN: [identity.name.slice(0, 64)] }, { OU: [identity.role] }, { O: [identity.cluster] }],
    notBefore: new Date(Math.max(wallMs - BACKDATED_MS, certificate.notBefore.getTime())),
    notAfter: new Date(Math.min(wallMs + lifetimeMs, certificate.notAfter.getTime())),
    signingAlgorithm: SIGNATURE_ALGORITHM,
    publicKey: keys.publicKey,
    signingKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([...usagesOf(identity.role)]),
      new SubjectAlternativeNameExtension(altNames(identity, hosts)),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(await certificate.publicKey.export()),
    ],
  });
  return { cert: pemOf(leaf), key: exportKey(keys.privateKey) };
}

/** @throws ClusterduckError INVALID_ARGUMENT */
function assertLifetime(lifetimeMs: number, { leftMs }: { readonly leftMs: number }): void {
  const refused = (problem: string, hint: string): ClusterduckError =>
    new ClusterduckError(
      "INVALID_ARGUMENT",
      `Cannot issue a certificate with a lifetime of ${formatDuration(lifetimeMs)}: ${problem}`,
      { hint },
    );
  if (lifetimeMs < LEAF_LIFETIME_MIN_MS) {
    const shortest = formatDuration(LEAF_LIFETIME_MIN_MS);
    throw refused(
      `it must be at least ${shortest}, as the clocks of hosts differ`,
      `--lifetime ${shortest}, or longer`,
    );
  }
  // Certificates end at whole seconds.
  if (lifetimeMs - leftMs < 1_000) return;
  throw refused(
    `the authority itself holds for another ${formatDuration(roundDown(leftMs))}`,
    "A shorter one; or first duckctl tls renew --authority",
  );
}

type Keys = { readonly publicKey: webcrypto.CryptoKey; readonly privateKey: webcrypto.CryptoKey };

async function signAuthority(
  name: JsonName,
  keys: Keys,
  { wallMs, lifetimeMs = AUTHORITY_LIFETIME_MS }: Omit<AuthorityRequest, "cluster">,
): Promise<string> {
  const extensions: Extension[] = [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
  ];
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name,
    notBefore: new Date(wallMs - BACKDATED_MS),
    notAfter: new Date(wallMs + lifetimeMs),
    signingAlgorithm: SIGNATURE_ALGORITHM,
    keys,
    extensions,
  });
  return pemOf(certificate);
}

async function openAuthority({ cert, key }: KeyPair): Promise<{
  certificate: X509Certificate;
  signingKey: webcrypto.CryptoKey;
}> {
  try {
    const der = createPrivateKey(key).export({ type: "pkcs8", format: "der" });
    const signingKey = await webcrypto.subtle.importKey("pkcs8", der, KEY_ALGORITHM, false, ["sign"]);
    return { certificate: new X509Certificate(cert), signingKey };
  } catch (cause) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      "Cannot issue a certificate: the authority's certificate or key is damaged, or not of EC P-256",
      { cause, hint: "Restore ca.crt and ca.key from your backup" },
    );
  }
}

/** Only coordinators are connected to: what an agent's or a person's key can do ends at being a client. */
function usagesOf(role: PeerRole): readonly string[] {
  return role === "member"
    ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]
    : [ExtendedKeyUsage.clientAuth];
}

function altNames(identity: PeerIdentity, hosts: readonly string[]): JsonGeneralName[] {
  return [
    { type: "url", value: identityUri(identity) },
    ...[...new Set(hosts)].map((value): JsonGeneralName => ({
      type: isIP(value) === 0 ? "dns" : "ip",
      value,
    })),
  ];
}

/** 128 random bits, positive (RFC 5280, section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function exportKey(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: "pkcs8", format: "pem" }) as string;
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
