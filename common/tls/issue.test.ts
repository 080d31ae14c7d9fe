import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isSignedBy, parseCertificates, validityAt } from "./certificate.js";
import type { PeerRole } from "./identity.js";
import {
  AUTHORITY_LIFETIME_MS,
  LEAF_LIFETIME_MS,
  createAuthority,
  issueCertificate,
  renewAuthority,
} from "./issue.js";
import type { KeyPair } from "./issue.js";

const NOW = Date.UTC(2026, 10, 22);
const identity = (role: PeerRole, name = "x1") => ({ role, name, cluster: "prod" });
const read = ({ cert }: KeyPair) => parseCertificates(cert, "test")[0];

test("a certificate tells who its holder is, where it is reached, and by whom it is signed", async () => {
  const authority = await createAuthority({ cluster: "prod", wallMs: NOW });

  const pair = await issueCertificate(authority, {
    identity: identity("member", "c1:a@b"),
    hosts: ["c1.example.org", "127.0.0.1", "::1", "c1.example.org"],
    wallMs: NOW,
  });

  const leaf = read(pair);
  assert.deepEqual(leaf.identity, identity("member", "c1:a@b"));
  assert.equal(leaf.commonName, "c1:a@b");
  assert.deepEqual(leaf.hosts, ["c1.example.org", "127.0.0.1", "::1"]);
  assert.match(leaf.issuer, /^clusterduck CA prod [0-9a-f]{6}$/);
  assert.ok(isSignedBy(leaf, [read(authority)]));
  assert.equal(leaf.notAfterMs, NOW + LEAF_LIFETIME_MS);
  assert.equal(read(authority).notAfterMs, NOW + AUTHORITY_LIFETIME_MS);
  assert.equal(read(authority).identity, null);
});

test("another authority of the same tier has signed nothing of it", async () => {
  const [one, two] = await Promise.all([1, 2].map(() => createAuthority({ cluster: "prod", wallMs: NOW })));
  assert.ok(one !== undefined && two !== undefined);

  const leaf = read(await issueCertificate(one, { identity: identity("agent"), hosts: [], wallMs: NOW }));

  assert.ok(!isSignedBy(leaf, [read(two)]));
  assert.ok(isSignedBy(leaf, [read(two), read(one)]));
});

test("a certificate holds a little before it was made, and never longer than its authority", async () => {
  const authority = await createAuthority({ cluster: "prod", wallMs: NOW, lifetimeMs: 60_000 });

  const leaf = read(
    await issueCertificate(authority, { identity: identity("client"), hosts: [], wallMs: NOW }),
  );

  assert.equal(validityAt(leaf, NOW - 60_000), "valid");
  assert.equal(validityAt(leaf, NOW - 3_600_000), "notYetValid");
  assert.equal(leaf.notAfterMs, NOW + 60_000);
  assert.equal(validityAt(leaf, NOW + 61_000), "expired");
  await assert.rejects(
    issueCertificate(authority, { identity: identity("client"), hosts: [], wallMs: NOW + 61_000 }),
    {
      code: "CONFIG_INVALID",
      message: /authority's own ended at 2026-11-22T00:01:00/,
      hint: /renew --authority/,
    },
  );
});

test("a renewed authority vouches for what was signed before, and the old one for what is signed after", async () => {
  const before = await createAuthority({ cluster: "prod", wallMs: NOW });
  const after = await renewAuthority(before, { wallMs: NOW + 1e9 });

  const old = read(await issueCertificate(before, { identity: identity("agent"), hosts: [], wallMs: NOW }));
  const young = read(
    await issueCertificate(after, { identity: identity("agent"), hosts: [], wallMs: NOW + 1e9 }),
  );

  assert.ok(isSignedBy(old, [read(after)]) && isSignedBy(young, [read(before)]));
  assert.equal(read(after).notAfterMs, read(before).notAfterMs + 1e9);
  assert.notEqual(read(after).fingerprint, read(before).fingerprint);
});

test("a damaged authority is told before anything is signed", async () => {
  const authority = await createAuthority({ cluster: "prod", wallMs: NOW });

  await assert.rejects(
    issueCertificate(
      { ...authority, key: "nothing" },
      { identity: identity("agent"), hosts: [], wallMs: NOW },
    ),
    { code: "CONFIG_INVALID", message: /damaged, or not of EC P-256/ },
  );
});

test("openssl takes members for servers and clients, and agents and clients for clients only", async () => {
  const wallMs = Date.now();
  const authority = await createAuthority({ cluster: "prod", wallMs });
  const folder = mkdtempSync(join(tmpdir(), "duck-issue-"));
  const isTaken = (file: string, purpose: string): boolean => {
    try {
      execFileSync(
        "openssl",
        ["verify", "-x509_strict", "-CAfile", join(folder, "ca.crt"), "-purpose", purpose, file],
        {
          stdio: "pipe",
        },
      );
      return true;
    } catch {
      return false;
    }
  };
  try {
    writeFileSync(join(folder, "ca.crt"), authority.cert);
    for (const role of ["member", "agent", "client"] as const) {
      const file = join(folder, `${role}.crt`);
      const { cert } = await issueCertificate(authority, {
        identity: identity(role),
        hosts: ["localhost"],
        wallMs,
      });
      writeFileSync(file, cert);

      assert.ok(isTaken(file, "sslclient"), role);
      assert.equal(isTaken(file, "sslserver"), role === "member", role);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
