import { dirname, join, resolve } from "node:path";
import { filesOfPattern } from "../config/schema/tls.js";
import { CONFIG_DEFAULTS } from "../config/defaults.js";
import { readFileConfig } from "../config/load.js";
import type { FileConfig, TlsConfig } from "../config/model.js";
import { ClusterduckError } from "../errors.js";
import { createPair, defaultHosts, readAuthority, readPem } from "../tls/folder.js";
import { describeIdentity } from "../tls/identity.js";
import type { PeerRole } from "../tls/identity.js";
import { isInline } from "../tls/material.js";
import type { CommonFlags, DaemonCommands } from "./command-line.js";

const TIER = "clusterduck";

/** The original's `gen-tls`: certificate and key where the configuration expects them, or beside it. */
export function addGenTlsCommand(
  { program, io, withFile }: DaemonCommands,
  options: {
    readonly role: PeerRole;
    /** The section of the configuration, and what it says now. */
    readonly section: string;
    readonly settings: (config: FileConfig) => { readonly id: string; readonly tls: TlsConfig | null };
  },
): void {
  withFile(program.command("gen-tls"))
    .description("make certificates where the configuration expects them, or beside it; replaces none")
    .action(async ({ config: file }: CommonFlags) => {
      const { id, tls: configured } = options.settings(readFileConfig(file));
      const tls = configured ?? defaultFiles(file, options.role);
      if (isInline(tls.ca) || isInline(tls.cert)) {
        throw new ClusterduckError(
          "CONFIG_INVALID",
          `Cannot write certificates: ${options.section}.tls holds them itself and names no files`,
        );
      }
      await generate(tls, { role: options.role, name: id });
      io.out([tls.ca, tls.cert, tls.key].map((each) => `${each}\n`).join(""));
      if (options.role === "member") await addAdmin(io, file, tls.ca);
      if (configured === null) {
        io.err(
          `Add to ${file}:\n  ${options.section}: {tls: {ca: ${tls.ca}, cert: ${tls.cert}, key: ${tls.key}}}\n`,
        );
      }
    });
}

/** A coordinator, an agent and duckctl on one host share the authority and nothing else. */
function defaultFiles(configFile: string, role: PeerRole): TlsConfig {
  const pattern = CONFIG_DEFAULTS.raft.tls;
  const place = (text: string): TlsConfig => filesOfPattern(resolve(join(dirname(configFile), text)));
  return role === "member"
    ? place(pattern)
    : { ...place(pattern.replace(".%s", `-${role}.%s`)), ca: place(pattern).ca };
}

/** A coordinator that speaks TLS takes orders from certificates of clients alone: one comes with it. */
async function addAdmin(io: DaemonCommands["io"], configFile: string, ca: string): Promise<void> {
  const tls = { ...defaultFiles(configFile, "client"), ca };
  if ((await readPem(tls.cert)) !== null) return;
  await generate(tls, { role: "client", name: "admin" });
  io.out(`${tls.cert}\n${tls.key}\n`);
  io.err(
    `For duckctl:\n  duckctl contexts set ${TIER} --cacert ${tls.ca} --cert ${tls.cert} --key ${tls.key}\n`,
  );
}

async function generate(
  tls: TlsConfig,
  who: { readonly role: PeerRole; readonly name: string },
): Promise<void> {
  // Loaded when it is needed: daemons do without.
  const { createAuthority, issueCertificate } = await import("../tls/issue.js");
  const files = { cert: tls.ca, key: `${tls.ca}.key` };
  const wallMs = Date.now();
  if ((await readPem(files.cert)) === null) {
    const authority = await createAuthority({ cluster: TIER, wallMs });
    await createPair(
      files,
      authority,
      "a certificate authority",
      "Remove it only with all that it has signed",
    );
  }
  const authority = await readAuthority(files);
  const identity = { ...who, cluster: authority.cluster };
  const pair = await issueCertificate(authority, { identity, hosts: defaultHosts(who), wallMs });
  await createPair(
    tls,
    pair,
    `a certificate for ${describeIdentity(who)}`,
    "To make another, remove both files first; running programs take the new ones by themselves",
  );
}
