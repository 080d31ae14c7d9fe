import { ClusterduckError } from "../common/errors.js";
import { parseCertificates } from "../common/tls/certificate.js";
import { isDue } from "../common/tls/due.js";
import {
  authorityFiles,
  createPair,
  defaultHosts,
  leafFiles,
  listCertificates,
  readAuthority,
  readCertificateFile,
  replacePair,
  withLoopback,
} from "../common/tls/folder.js";
import type { FoundCertificate, PairFiles } from "../common/tls/folder.js";
import { describeIdentity } from "../common/tls/identity.js";
import type { PeerIdentity, PeerRole } from "../common/tls/identity.js";
import type { KeyPair } from "../common/tls/issue.js";
import { printCertificates } from "./certificate-listing.js";
import type { CliIo } from "./io.js";
import type { GlobalOptions } from "./session.js";

export type FolderOptions = GlobalOptions & { readonly dir: string; readonly lifetime?: number };

export type InitOptions = FolderOptions & {
  readonly cluster: string;
  readonly name: string;
  readonly host?: readonly string[];
};

/** An authority, and what this host needs of it. */
export async function initCertificates(io: CliIo, options: InitOptions): Promise<void> {
  const { dir, cluster, name } = options;
  const { createAuthority, issueCertificate } = await issuing();
  const wallMs = io.nowMs();
  const authority = await createAuthority({ cluster, wallMs });
  const leaves = [
    { role: "member", name },
    { role: "agent", name },
    { role: "client", name: "admin" },
  ] as const;
  const files = authorityFiles(dir);
  // All are made before the first is written: what is refused leaves nothing behind.
  const made = await Promise.all(
    leaves.map(async (identity) => ({
      identity,
      pair: await issueCertificate(authority, {
        identity: { ...identity, cluster },
        hosts: hostsOf(identity, identity.role === "member" ? options.host : undefined),
        wallMs,
        ...(options.lifetime === undefined ? {} : { lifetimeMs: options.lifetime }),
      }),
    })),
  );
  await createPair(
    files,
    authority,
    "a certificate authority",
    "`duckctl tls issue` makes certificates with the one that is there; whoever trusts it would trust no new one",
  );
  // Left from an authority that is no more: they are worth nothing.
  for (const { identity, pair } of made) await replacePair(leafFiles(dir, identity), pair);
  printCertificates(io, options.output, await listCertificates(dir));
  if (options.output !== "table" && options.output !== "wide") return;
  const place = (role: PeerRole, of: string): string => {
    const { cert, key } = leafFiles(dir, { role, name: of });
    return `{ca: ${files.cert}, cert: ${cert}, key: ${key}}`;
  };
  const client = leafFiles(dir, { role: "client", name: "admin" });
  io.err(
    [
      "",
      "In the configuration of this host:",
      `  coordinator: {tls: ${place("member", name)}}`,
      `  agent: {tls: ${place("agent", name)}}`,
      "For duckctl:",
      `  duckctl contexts set ${cluster} --cacert ${files.cert} --cert ${client.cert} --key ${client.key}`,
      `Keep ${files.key} safe: whoever has it can be anybody. Certificates for other hosts: duckctl tls issue`,
      "",
    ].join("\n"),
  );
}

export type IssueOptions = FolderOptions & {
  readonly host?: readonly string[];
  readonly out?: string;
  readonly replace?: true;
};

export async function issueOne(
  io: CliIo,
  who: { readonly role: PeerRole; readonly name: string },
  options: IssueOptions,
): Promise<void> {
  const { issueCertificate } = await issuing();
  const authority = await readAuthority(authorityFiles(options.dir));
  const pair = await issueCertificate(authority, {
    identity: { ...who, cluster: authority.cluster },
    hosts: hostsOf(who, options.host),
    wallMs: io.nowMs(),
    ...(options.lifetime === undefined ? {} : { lifetimeMs: options.lifetime }),
  });
  const files = leafFiles(options.out ?? options.dir, who);
  if (options.replace === true) await replacePair(files, pair);
  else {
    await createPair(
      files,
      pair,
      `a certificate for ${describeIdentity(who)}`,
      `duckctl tls renew ${files.cert}, or --replace`,
    );
  }
  printCertificates(io, options.output, [await readCertificateFile(files.cert)]);
  if (options.output === "table" || options.output === "wide")
    io.err(`Its key is ${files.key}; its holder also needs ${authorityFiles(options.dir).cert}\n`);
}

export type RenewOptions = FolderOptions & { readonly all?: true; readonly authority?: true };

export async function renewCertificates(
  io: CliIo,
  named: readonly string[],
  options: RenewOptions,
): Promise<void> {
  const { issueCertificate, renewAuthority } = await issuing();
  const files = authorityFiles(options.dir);
  const wallMs = io.nowMs();
  let authority: KeyPair = await readAuthority(files);
  const renewed: { readonly files: PairFiles; readonly pair: KeyPair }[] = [];
  if (options.authority === true) {
    authority = await renewAuthority(authority, { wallMs });
    renewed.push({ files, pair: authority });
  }
  const wanted =
    named.length > 0
      ? await Promise.all(named.map((file) => readCertificateFile(file)))
      : options.authority === true && options.all !== true
        ? []
        : (await listCertificates(options.dir)).filter(
            ({ certificate }) =>
              certificate.identity !== null && (options.all === true || isDue(certificate, wallMs)),
          );
  for (const found of wanted) {
    const { identity, hosts } = renewable(found, authority);
    const pair = await issueCertificate(authority, {
      identity,
      hosts,
      wallMs,
      ...(options.lifetime === undefined ? {} : { lifetimeMs: options.lifetime }),
    });
    renewed.push({ files: pairOf(found.file), pair });
  }
  for (const each of renewed) await replacePair(each.files, each.pair);
  if (renewed.length === 0) {
    io.err("Nothing ends soon: --all renews all the same\n");
    return;
  }
  printCertificates(
    io,
    options.output,
    await Promise.all(renewed.map(({ files: { cert } }) => readCertificateFile(cert))),
  );
  io.err("Copy new files to the hosts that use them; running programs take them by themselves\n");
}

/** @throws ClusterduckError INVALID_ARGUMENT for what this authority cannot renew. */
function renewable(
  { file, certificate }: FoundCertificate,
  authority: KeyPair,
): { readonly identity: PeerIdentity; readonly hosts: readonly string[] } {
  const { identity, hosts } = certificate;
  if (identity === null) {
    throw new ClusterduckError("INVALID_ARGUMENT", `Cannot renew "${file}": it says not whose it is`, {
      hint: certificate.isAuthority ? "duckctl tls renew --authority" : "duckctl tls issue ROLE NAME",
    });
  }
  const [own] = parseCertificates(authority.cert, "the authority");
  const cluster = /^clusterduck CA (\S+) /.exec(own.commonName)?.[1];
  if (cluster !== identity.cluster) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Cannot renew "${file}": it is of tier "${identity.cluster}", and the authority of "${cluster ?? ""}"`,
      { hint: "name the folder of its authority with --dir" },
    );
  }
  return { identity, hosts };
}

/** The key lies beside its certificate. */
function pairOf(file: string): PairFiles {
  return { cert: file, key: `${file.replace(/\.(crt|pem|cert)$/, "")}.key` };
}

/** @throws ClusterduckError INVALID_ARGUMENT for hosts where they have no use. */
function hostsOf(
  who: { readonly role: PeerRole; readonly name: string },
  given: readonly string[] | undefined,
): readonly string[] {
  if (given === undefined) return defaultHosts(who);
  return withLoopback(who.role, given);
}

/** Loaded when it is needed: it takes longer than everything else of duckctl together. */
function issuing() {
  return import("../common/tls/issue.js");
}
