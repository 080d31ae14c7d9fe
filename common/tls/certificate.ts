import { X509Certificate } from "node:crypto";
import ipaddr from "ipaddr.js";
import { ClusterduckError } from "../errors.js";
import { describeIdentity, identityOfUris } from "./identity.js";
import type { PeerIdentity } from "./identity.js";

/** What we read of a certificate. */
export type Certificate = {
  /** Null: none of ours, or a certificate authority. */
  readonly identity: PeerIdentity | null;
  readonly commonName: string;
  /** DNS names and IP addresses, in the certificate's order. */
  readonly hosts: readonly string[];
  readonly uris: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 over the whole certificate, 64 hexadecimal digits. */
  readonly fingerprint: string;
  readonly issuer: string;
  readonly isAuthority: boolean;
  readonly x509: X509Certificate;
};

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * The certificates of a PEM text, in its order; what stands around them is passed over.
 * @param source Where the text comes from, for the message.
 * @throws ClusterduckError CONFIG_INVALID when there is none, or one cannot be read.
 */
export function parseCertificates(pem: string, source: string): readonly [Certificate, ...Certificate[]] {
  const [first, ...others] = pem.match(BLOCK) ?? [];
  if (first === undefined) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Cannot use ${source}: it holds no certificate in PEM form`,
      {
        hint: "A certificate begins with -----BEGIN CERTIFICATE-----; was the key's file named instead?",
      },
    );
  }
  const parse = (block: string): Certificate => {
    try {
      return readCertificate(new X509Certificate(block));
    } catch (cause) {
      throw new ClusterduckError("CONFIG_INVALID", `Cannot use ${source}: a certificate in it is damaged`, {
        cause,
      });
    }
  };
  return [parse(first), ...others.map(parse)];
}

export function readCertificate(x509: X509Certificate): Certificate {
  const names = splitAltNames(x509.subjectAltName ?? "");
  const of = (kind: string): readonly string[] =>
    names.filter((each) => each.kind === kind).map(({ value }) => value);
  const uris = of("URI");
  return {
    identity: x509.ca ? null : identityOfUris(uris),
    commonName: /^CN=(.*)$/m.exec(x509.subject)?.[1] ?? "",
    hosts: names.flatMap(({ kind, value }) =>
      kind === "DNS" ? [value] : kind === "IP Address" ? [ipaddr.parse(value).toString()] : [],
    ),
    uris,
    notBeforeMs: Date.parse(x509.validFrom),
    notAfterMs: Date.parse(x509.validTo),
    fingerprint: x509.fingerprint256.replaceAll(":", "").toLowerCase(),
    issuer: /^CN=(.*)$/m.exec(x509.issuer)?.[1] ?? x509.issuer.replaceAll("\n", ", "),
    isAuthority: x509.ca,
    x509,
  };
}

/** Whose it is, in words: `agent "a1"`, or what stands in its subject. */
export function describeCertificate(certificate: Pick<Certificate, "identity" | "commonName">): string {
  const { identity, commonName } = certificate;
  return identity === null ? JSON.stringify(commonName) : describeIdentity(identity);
}

/** Whether a way of signatures leads from a certificate over `between` to one of `authorities`. */
export function isSignedBy(
  certificate: Certificate,
  authorities: readonly Certificate[],
  between: readonly Certificate[] = [],
): boolean {
  const isIssuer = (issuer: Certificate): boolean =>
    certificate.x509.checkIssued(issuer.x509) && certificate.x509.verify(issuer.x509.publicKey);
  if (authorities.some(isIssuer)) return true;
  return between.some(
    (issuer) =>
      issuer.isAuthority &&
      isIssuer(issuer) &&
      isSignedBy(
        issuer,
        authorities,
        between.filter((each) => each !== issuer),
      ),
  );
}

export type Validity = "valid" | "notYetValid" | "expired";

export function validityAt({ notBeforeMs, notAfterMs }: Certificate, wallMs: number): Validity {
  if (wallMs < notBeforeMs) return "notYetValid";
  return wallMs > notAfterMs ? "expired" : "valid";
}

/** Node writes `DNS:a, IP Address:10.0.0.1, URI:x`, and a value with unusual characters as a JSON string. */
function splitAltNames(text: string): readonly { readonly kind: string; readonly value: string }[] {
  const pattern = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;
  const names: { kind: string; value: string }[] = [];
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const [, kind = "", written = ""] = match;
    names.push({ kind, value: written.startsWith('"') ? (JSON.parse(written) as string) : written });
    if (pattern.lastIndex >= text.length) break;
  }
  return names;
}
