import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type TestCertificate = {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
};

export type TestAuthority = {
  readonly ca: string;
  readonly caFile: string;
  /** A leaf for names and IP addresses, such as `["DNS:duck.test", "IP:127.0.0.1"]`. */
  issue(names: readonly string[], options?: { readonly days?: number }): TestCertificate;
  /** Removes the files. */
  remove(): void;
};

/** A certificate authority in a directory of its own, made by the `openssl` program. */
export function createAuthority(): TestAuthority {
  const directory = mkdtempSync(join(tmpdir(), "duck-ca-"));
  const file = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    ...[
      "req",
      "-x509",
      ...newKey,
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      "-days",
      "2",
      "-subj",
      "/CN=duck test CA",
    ],
  );
  let issued = 0;
  return {
    ca: readFileSync(file("ca.pem"), "utf8"),
    caFile: file("ca.pem"),
    issue: (names, { days = 90 } = {}) => {
      const leaf = `leaf${++issued}`;
      writeFileSync(file(`${leaf}.ext`), `subjectAltName=${names.join(",")}\nbasicConstraints=CA:FALSE\n`);
      openssl(
        "req",
        "-new",
        ...newKey,
        "-keyout",
        `${leaf}.key`,
        "-out",
        `${leaf}.csr`,
        "-subj",
        `/CN=${leaf}`,
      );
      openssl(
        ...["x509", "-req", "-in", `${leaf}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
        ...["-days", String(days), "-extfile", `${leaf}.ext`, "-out", `${leaf}.pem`],
      );
      return {
        cert: readFileSync(file(`${leaf}.pem`), "utf8"),
        key: readFileSync(file(`${leaf}.key`), "utf8"),
        certFile: file(`${leaf}.pem`),
        keyFile: file(`${leaf}.key`),
      };
    },
    remove: () => rmSync(directory, { recursive: true, force: true, maxRetries: 20 }),
  };
}
