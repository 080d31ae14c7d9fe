import type { PeerCertificate } from "node:tls";
import { X509Certificate } from "node:crypto";
import { readCertificate } from "../tls/certificate.js";
import type { PeerIdentity } from "../tls/identity.js";

/** The part of grpc-js's calls that tells who is there. */
export type AuthenticatedCall = {
  getAuthContext(): { readonly sslPeerCertificate?: PeerCertificate | undefined };
};

/** Who a call comes from, by its verified certificate; null without TLS, or when the certificate is not one of ours. */
export function peerIdentity(call: AuthenticatedCall): PeerIdentity | null {
  const raw = call.getAuthContext().sslPeerCertificate?.raw;
  return raw === undefined ? null : readCertificate(new X509Certificate(raw)).identity;
}
