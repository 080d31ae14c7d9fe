import { formatDuration } from "../duration.js";
import type { Certificate } from "./certificate.js";
import { describeCertificate, validityAt } from "./certificate.js";
import type { PeerRole } from "./identity.js";

/** What is wrong, and what to do about it. */
export type Complaint = { readonly message: string; readonly hint: string };

export const RENEW = "duckctl tls renew";

/** The command that makes such a certificate, on the host that holds the authority's key. */
export function issueCommand(role: PeerRole, name = "NAME"): string {
  return `duckctl tls issue ${role} ${name}${role === "member" ? " --host HOST" : ""}`;
}

/** Null: it holds now. */
export function complaintOfTime(certificate: Certificate, wallMs: number): Complaint | null {
  const validity = validityAt(certificate, wallMs);
  if (validity === "valid") return null;
  const whose = describeCertificate(certificate);
  const now = new Date(wallMs).toISOString();
  if (validity === "expired") {
    const ended = new Date(certificate.notAfterMs).toISOString();
    return {
      message: `the certificate of ${whose} ended at ${ended}, and it is ${now} here`,
      hint: `${RENEW} where the authority's key is, then copy the new files to this host`,
    };
  }
  const begins = new Date(certificate.notBeforeMs).toISOString();
  return {
    message: `the certificate of ${whose} begins at ${begins}, and it is ${now} here`,
    hint: "Compare the clocks of the two hosts: one of them is wrong",
  };
}

/** How long it still holds, for people: `31d`, `expired 2h ago`. */
export function remaining(certificate: Certificate, wallMs: number): string {
  const leftMs = certificate.notAfterMs - wallMs;
  return leftMs > 0 ? formatDuration(roundDown(leftMs)) : `ended ${formatDuration(roundDown(-leftMs))} ago`;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Days for what lasts days: nobody reads the milliseconds of a year. */
export function roundDown(durationMs: number): number {
  const unitMs =
    durationMs >= 2 * DAY_MS
      ? DAY_MS
      : durationMs >= 2 * HOUR_MS
        ? HOUR_MS
        : durationMs >= MINUTE_MS
          ? MINUTE_MS
          : 1_000;
  return Math.floor(durationMs / unitMs) * unitMs;
}

/** Codes of OpenSSL's verification that say who signed it, in Node's spelling. */
const FOREIGN: ReadonlySet<string> = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
]);

/** Why a peer's certificate is not taken. `code` is OpenSSL's; without a certificate at all it does not matter. */
export function complaintOfPeer(
  code: string,
  certificate: Certificate | null,
  options: { readonly wallMs: number; readonly expected: PeerRole },
): Complaint {
  const { wallMs, expected } = options;
  if (certificate === null) {
    return {
      message: "no certificate was presented, and one is needed here",
      hint: `Make one with ${issueCommand(expected)} and name its files`,
    };
  }
  const ofTime = complaintOfTime(certificate, wallMs);
  if (ofTime !== null && /EXPIRED|NOT_YET_VALID/.test(code)) return ofTime;
  const whose = describeCertificate(certificate);
  if (FOREIGN.has(code)) {
    return {
      message: `the certificate of ${whose} is signed by "${certificate.issuer}", which is not trusted here`,
      hint: "Both hosts need certificates of one authority: compare their ca files with `duckctl tls show FILE`",
    };
  }
  if (code === "INVALID_PURPOSE") {
    return {
      message: `the certificate of ${whose} is not meant for this end of a connection`,
      hint: `Make another with ${issueCommand(expected)}`,
    };
  }
  return {
    message: `the certificate of ${whose} cannot be trusted: ${code}`,
    hint: `Make another with ${issueCommand(expected)}`,
  };
}
