import { createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { TlsConfig } from "../config/model.js";
import { ClusterduckError, messageOf } from "../errors.js";
import { describeCertificate, isSignedBy, parseCertificates } from "./certificate.js";
import type { Certificate } from "./certificate.js";
import type { PeerIdentity, PeerRole } from "./identity.js";
import { describeIdentity } from "./identity.js";
import { issueCommand } from "./words.js";

/** Certificates and key that fit together. */
export type TlsMaterial = {
  /** PEM texts. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly authorities: readonly Certificate[];
  readonly own: Certificate;
  readonly identity: PeerIdentity;
};

/** For Node's servers. All who connect can speak the newest version: there is no older one to be kind to. */
export function contextOptions({ ca, cert, key }: TlsMaterial) {
  return { ca, cert, key, minVersion: "TLSv1.3" } as const;
}

/** Who the certificate has to be for. */
export type Expected = {
  /** Left out: any; the other end judges. */
  readonly role?: PeerRole;
  /** Left out: any name. */
  readonly name?: string;
};

/** A PEM text stands in the configuration itself, anything else is a file's name. */
export function isInline(value: string): boolean {
  return value.includes("-----BEGIN ");
}

/** What messages call it: the file, or the key of the configuration. */
export function nameOf(config: TlsConfig, part: keyof TlsConfig): string {
  return isInline(config[part]) ? `tls.${part}` : `"${config[part]}"`;
}

/**
 * Reads the three files and checks that they fit each other and their holder. Dates are not judged here: who
 * has a certificate that ended goes on with what needs no peer, until it is renewed.
 * @throws ClusterduckError CONFIG_UNREADABLE, CONFIG_INVALID with the file's name and what would work.
 */
export async function readMaterial(config: TlsConfig, expected: Expected): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all([
    readPart(config, "ca"),
    readPart(config, "cert"),
    readPart(config, "key"),
  ]);
  const authorities = parseCertificates(ca, nameOf(config, "ca"));
  const [own, ...between] = parseCertificates(cert, nameOf(config, "cert"));
  assertAuthorities(config, authorities);
  assertKeyFits(config, own, key);
  const identity = identityFor(config, own, expected);
  if (!isSignedBy(own, authorities, between)) {
    throw invalid(
      `certificate ${nameOf(config, "cert")} is signed by "${own.issuer}", not by an authority in ${nameOf(config, "ca")}`,
      "Take all files from one `duckctl tls init`; `duckctl tls show FILE` tells who signed what",
    );
  }
  return { ca, cert, key, authorities, own, identity };
}

async function readPart(config: TlsConfig, part: keyof TlsConfig): Promise<string> {
  const value = config[part];
  if (isInline(value)) return value;
  try {
    return await readFile(value, "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why =
      code === "ENOENT"
        ? "there is no such file"
        : code === "EACCES"
          ? "permission denied"
          : messageOf(cause);
    throw new ClusterduckError("CONFIG_UNREADABLE", `Cannot use TLS: tls.${part} "${value}": ${why}`, {
      cause,
      hint:
        code === "ENOENT"
          ? "Make certificates with `duckctl tls init`, or correct the path"
          : "Let the user that runs the program read it",
    });
  }
}

function assertAuthorities(config: TlsConfig, authorities: readonly Certificate[]): void {
  const other = authorities.find((each) => !each.isAuthority);
  if (other === undefined) return;
  throw invalid(
    `${nameOf(config, "ca")} holds the certificate of ${describeCertificate(other)}, which is no authority`,
    "Name the file ca.crt of `duckctl tls init` as tls.ca",
  );
}

function assertKeyFits(config: TlsConfig, own: Certificate, key: string): void {
  let fits: boolean;
  try {
    fits = own.x509.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Cannot use TLS: ${nameOf(config, "key")} is not a private key in PEM form without a password`,
      { cause, hint: "Name the .key file that belongs to the certificate as tls.key" },
    );
  }
  if (fits) return;
  throw invalid(
    `key ${nameOf(config, "key")} does not belong to certificate ${nameOf(config, "cert")}`,
    "Name the .crt and the .key of the same name",
  );
}

function identityFor(config: TlsConfig, own: Certificate, expected: Expected): PeerIdentity {
  const { identity } = own;
  const file = nameOf(config, "cert");
  const role = expected.role ?? "client";
  if (identity === null) {
    throw invalid(
      `certificate ${file} (${describeCertificate(own)}) says not who its holder is: it has no name like clusterduck://CLUSTER/${role}/NAME`,
      `Make one with ${issueCommand(role, expected.name)}`,
    );
  }
  if (expected.role === undefined) return identity;
  if (identity.role !== expected.role || (expected.name !== undefined && identity.name !== expected.name)) {
    const wanted =
      expected.name === undefined
        ? `a ${expected.role}`
        : describeIdentity({ role: expected.role, name: expected.name });
    throw invalid(
      `certificate ${file} is for ${describeIdentity(identity)}, and ${wanted} is needed here`,
      identity.role === expected.role
        ? `Make one with ${issueCommand(expected.role, expected.name)}, or set id: ${identity.name}`
        : `Make one with ${issueCommand(expected.role, expected.name)}`,
    );
  }
  return identity;
}

function invalid(what: string, hint: string): ClusterduckError {
  return new ClusterduckError("CONFIG_INVALID", `Cannot use TLS: ${what}`, { hint });
}
