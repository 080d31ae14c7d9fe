import { validityAt } from "../common/tls/certificate.js";
import type { Certificate } from "../common/tls/certificate.js";
import { isDue } from "../common/tls/due.js";
import { purposeOf } from "../common/tls/folder.js";
import type { FoundCertificate } from "../common/tls/folder.js";
import { remaining } from "../common/tls/words.js";
import type { CliIo } from "./io.js";
import type { Format } from "./output/print.js";
import { printData, tableWidth } from "./output/print.js";
import { formatTable } from "./output/table.js";

export function printCertificates(io: CliIo, format: Format, found: readonly FoundCertificate[]): void {
  const wallMs = io.nowMs();
  switch (format) {
    case "json":
    case "yaml":
      printData(
        io,
        format,
        found.map((each) => plain(each, wallMs)),
      );
      return;
    case "name":
      for (const { file } of found) io.out(`${file}\n`);
      return;
    case "table":
    case "wide": {
      if (found.length === 0) {
        io.err("No certificates\n");
        return;
      }
      const rows = found.map(({ file, certificate }) => [
        file,
        purposeOf(certificate),
        stateOf(certificate, wallMs),
        remaining(certificate, wallMs),
        certificate.hosts.join(","),
      ]);
      io.out(formatTable(["FILE", "FOR", "STATE", "LEFT", "HOSTS"], rows, tableWidth(io, format)));
    }
  }
}

function stateOf(certificate: Certificate, wallMs: number): string {
  switch (validityAt(certificate, wallMs)) {
    case "expired":
      return "expired";
    case "notYetValid":
      return "not yet valid";
    case "valid":
      return isDue(certificate, wallMs) ? "renew" : "valid";
  }
}

function plain({ file, certificate }: FoundCertificate, wallMs: number) {
  const { identity, hosts, uris, notBeforeMs, notAfterMs, fingerprint, issuer, isAuthority } = certificate;
  return {
    file,
    role: isAuthority ? "authority" : (identity?.role ?? ""),
    name: identity?.name ?? certificate.commonName,
    cluster: identity?.cluster ?? "",
    hosts: [...hosts],
    uris: [...uris],
    notBefore: new Date(notBeforeMs).toISOString(),
    notAfter: new Date(notAfterMs).toISOString(),
    state: stateOf(certificate, wallMs),
    issuer,
    fingerprint,
  };
}

/** All of it, for people. */
export function describeFound({ file, certificate }: FoundCertificate, wallMs: number): string {
  const { hosts, uris, notBeforeMs, notAfterMs, fingerprint, issuer } = certificate;
  const lines = [
    ["File:", file],
    ["For:", purposeOf(certificate)],
    ["State:", `${stateOf(certificate, wallMs)} (${remaining(certificate, wallMs)})`],
    ["Begins:", new Date(notBeforeMs).toISOString()],
    ["Ends:", new Date(notAfterMs).toISOString()],
    ["Hosts:", hosts.join(", ") || "none"],
    ["URIs:", uris.join(", ") || "none"],
    ["Signed by:", issuer],
    ["SHA-256:", fingerprint],
  ];
  return lines.map(([label = "", value = ""]) => `${label.padEnd(11)}${value}\n`).join("");
}
