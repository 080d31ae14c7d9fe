import { checkServerIdentity } from "node:tls";
import type { PeerCertificate } from "node:tls";
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { experimental } from "@grpc/grpc-js";
import type { ChannelCredentials, ChannelOptions } from "@grpc/grpc-js";
import { ClusterduckError, messageOf } from "../errors.js";
import { parseAddress } from "../model/address.js";
import { readCertificate } from "../tls/certificate.js";
import { describeIdentity } from "../tls/identity.js";
import { nameOf } from "../tls/material.js";
import type { TlsSource } from "../tls/source.js";
import { RENEW, complaintOfTime, issueCommand } from "../tls/words.js";

export type TlsChannelOptions = {
  /** A peer that takes longer to shake hands stands still, and its connection is closed. Milliseconds. */
  readonly handshakeMs: number;
  /** Name in the server's certificate. Left out: any member's. */
  readonly member?: string;
};

/** What a gRPC client connects with: at every connection the certificates that are the newest then. */
export function tlsChannel(
  address: string,
  tls: TlsSource,
  { handshakeMs, member }: TlsChannelOptions,
): {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
  /** Of the server's certificate, at the newest connection; empty before the first. */
  readonly serverFingerprint: () => string;
} {
  const host = hostOf(address);
  const provider = certificateProvider(tls);
  let seen = "";
  const credentials = experimental.createCertificateProviderChannelCredentials(provider, provider, {
    checkServerIdentity: (_name, certificate) => {
      seen = readCertificate(new X509Certificate(certificate.raw)).fingerprint;
      return serverProblem({ host, member }, certificate, tls);
    },
  });
  return {
    credentials: withinHandshakeTime(credentials, handshakeMs),
    // SNI knows no IP addresses (RFC 6066), and Node warns of them: any name will do, we compare names ourselves.
    options: { "grpc.ssl_target_name_override": isIP(host) === 0 ? host : "clusterduck" },
    serverFingerprint: () => seen,
  };
}

/** gRPC itself leaves a connection open whose handshake never ends, also when its client is closed. */
function withinHandshakeTime(credentials: ChannelCredentials, handshakeMs: number): ChannelCredentials {
  const createConnector = credentials._createSecureConnector.bind(credentials);
  credentials._createSecureConnector = (...wanted) => {
    const connector = createConnector(...wanted);
    const connect = connector.connect.bind(connector);
    connector.connect = async (socket) => {
      const timer = setTimeout(() => socket.destroy(), handshakeMs);
      timer.unref();
      try {
        return await connect(socket);
      } finally {
        clearTimeout(timer);
      }
    };
    return connector;
  };
  return credentials;
}

type Provider = Parameters<typeof experimental.createCertificateProviderChannelCredentials>[0];

function certificateProvider(tls: TlsSource): Provider {
  const unsubscribers = new Map<unknown, () => void>();
  const follow = (listener: unknown, tell: () => void): void => {
    tell();
    unsubscribers.set(listener, tls.onChange(tell));
  };
  const leave = (listener: unknown): void => {
    unsubscribers.get(listener)?.();
    unsubscribers.delete(listener);
  };
  return {
    addCaCertificateListener: (listener) =>
      follow(listener, () => listener({ caCertificate: Buffer.from(tls.material.ca) })),
    removeCaCertificateListener: leave,
    addIdentityCertificateListener: (listener) =>
      follow(listener, () => {
        const { cert, key } = tls.material;
        listener({ certificate: Buffer.from(cert), privateKey: Buffer.from(key) });
      }),
    removeIdentityCertificateListener: leave,
  };
}

type Called = { readonly host: string; readonly member: string | undefined };

/**
 * Only a member of our tier, under the host name that we called: an agent's certificate makes no coordinator. Where
 * one member is meant, only that one: a certificate may be for several hosts, and its holder votes once.
 */
function serverProblem({ host, member }: Called, given: PeerCertificate, tls: TlsSource): Error | undefined {
  const certificate = readCertificate(new X509Certificate(given.raw));
  const { identity } = certificate;
  const { cluster } = tls.material.identity;
  if (identity?.role !== "member") {
    const whose = identity === null ? JSON.stringify(certificate.commonName) : describeIdentity(identity);
    return problem("notMember", `its certificate is for ${whose}, not for a member`);
  }
  if (identity.cluster !== cluster)
    return problem(
      "otherTier",
      `it is ${describeIdentity(identity)} of "${identity.cluster}", not of "${cluster}"`,
    );
  if (member !== undefined && identity.name !== member)
    return problem(
      "otherMember",
      `its certificate is for ${describeIdentity(identity)}, and member "${member}" was called`,
    );
  if (checkServerIdentity(host, given) === undefined) return undefined;
  return problem(
    "otherName",
    `its certificate, of ${describeIdentity(identity)}, is for ${certificate.hosts.join(", ") || "no host"}, not for ${host}`,
  );
}

/** Only an error's text comes through grpc-js, so the kind stands in it. */
const MARK = "clusterduck-tls:";
type Kind = "notMember" | "otherTier" | "otherMember" | "otherName";

function problem(kind: Kind, words: string): Error {
  return new Error(`${MARK}${kind}: ${words}`);
}

/** What a failed call over TLS amounts to, with the names of our files, as its message should have them. */
export function explainTls(error: ClusterduckError, address: string, tls: TlsSource): ClusterduckError {
  const cert = nameOf(tls.config, "cert");
  if (error.code === "UNAUTHENTICATED" || error.code === "PERMISSION_DENIED") {
    // The coordinator speaks of the certificate that it was shown.
    return refused(
      `${address} refuses our certificate ${cert}: ${error.message}`,
      error,
      error.hint,
      error.code,
    );
  }
  if (error.code !== "UNREACHABLE") return error;
  const ours = /clusterduck-tls:(\w+): (.*)/.exec(error.message);
  if (ours !== null) {
    const name = /of member "([^"]+)"/.exec(ours[2] ?? "")?.[1];
    const hint = hintFor(ours[1] as Kind, name, address);
    return refused(`Cannot trust ${address}: ${trimmed(ours[2] ?? "")}`, error, hint);
  }
  if (/has expired/.test(error.message))
    return refused(
      `Cannot trust ${address}: its certificate, or that of its authority, has ended`,
      error,
      `${RENEW} where the authority's key is, then copy the new files to that host`,
    );
  if (/not yet valid/.test(error.message))
    return refused(
      `Cannot trust ${address}: its certificate is not valid yet`,
      error,
      "Compare the clocks of the two hosts: one of them is wrong",
    );
  if (/self-signed|unable to (get|verify)|signature failure/.test(error.message))
    return refused(
      `Cannot trust ${address}: its certificate is not signed by an authority in ${nameOf(tls.config, "ca")}`,
      error,
      "Name the ca.crt of that tier as ca; `duckctl tls show FILE` tells who signed what",
    );
  if (/certificate purpose/.test(error.message))
    return refused(
      `Cannot trust ${address}: its certificate is not a member's`,
      error,
      `Give the coordinator a certificate of its own: ${issueCommand("member")}`,
    );
  if (/wrong version number|packet length too long|EPROTO/i.test(error.message))
    return refused(
      `Cannot reach ${address} with TLS: what listens there speaks none`,
      error,
      "Name certificates in the coordinator's configuration (coordinator.tls), or none here",
      "UNREACHABLE",
    );
  const own = complaintOfTime(tls.material.own, tls.wallMs());
  // Whoever refuses us without a word probably does it for this.
  return own === null
    ? error
    : refused(`Cannot connect to ${address} with ${cert}: ${own.message}`, error, own.hint);
}

/** @param name Of the member that was found there, if it is one. */
function hintFor(kind: Kind, name: string | undefined, address: string): string {
  switch (kind) {
    case "otherName":
      return `Call it by one of these names, or give it another certificate: duckctl tls issue member ${name ?? "NAME"} --host ${hostOf(address)} --replace`;
    case "otherTier":
      return "Check the address: it leads to another tier";
    case "otherMember":
      return "Correct the address of the one that was called (duckctl coordinators list), or give each coordinator a certificate of its own";
    case "notMember":
      return `Check the address, or give the coordinator a certificate of its own: ${issueCommand("member")}`;
  }
}

/** A coordinator with TLS breaks off whoever speaks none. */
export function explainPlain(error: ClusterduckError, address: string): ClusterduckError {
  if (error.code !== "UNREACHABLE" || !/Failed to connect/.test(error.message)) return error;
  return refused(
    `Cannot reach ${address}: what listens there closed the connection at once`,
    error,
    "A coordinator with TLS does that: name certificates (ca, cert and key) to connect with",
    "UNREACHABLE",
  );
}

/** Without what grpc-js adds behind an error's text. */
function trimmed(words: string): string {
  return words.replace(/ \(\d{4}-\d\d-\d\dT[^)]*\)$/, "");
}

function refused(
  message: string,
  cause: ClusterduckError,
  hint: string | undefined,
  code: ClusterduckError["code"] = "UNAUTHENTICATED",
): ClusterduckError {
  return new ClusterduckError(code, message, { cause, ...(hint === undefined ? {} : { hint }) });
}

function hostOf(address: string): string {
  try {
    const parsed = parseAddress(address);
    return parsed.kind === "tcp" ? parsed.host : "localhost";
  } catch (thrown) {
    throw new ClusterduckError("INVALID_ARGUMENT", `Cannot connect to "${address}": ${messageOf(thrown)}`);
  }
}
