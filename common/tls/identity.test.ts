import assert from "node:assert/strict";
import { test } from "node:test";
import {
  PEER_ROLES,
  identityOfUris,
  identityUri,
  isPeerName,
  isTierName,
  parseIdentityUri,
} from "./identity.js";
import { fc } from "../../test/support/properties.js";

test("an identity comes back from its URI as it went in", () => {
  const cluster = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/);
  const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}$/);
  fc.assert(
    fc.property(fc.constantFrom(...PEER_ROLES), name, cluster, (role, name, cluster) => {
      assert.deepEqual(parseIdentityUri(identityUri({ role, name, cluster })), { role, name, cluster });
    }),
  );
});

test("no text but the one that we write is an identity", () => {
  for (const uri of [
    "clusterduck://prod/member",
    "clusterduck://prod/member/",
    "clusterduck://prod/member/c1/x",
    "clusterduck://prod/boss/c1",
    "clusterduck:///member/c1",
    "clusterduck://prod/member/c%31",
    "clusterduck://prod/member/%",
    "clusterduck://prod/member/c 1",
    "CLUSTERDUCK://prod/member/c1",
    "spiffe://prod/member/c1",
  ]) {
    assert.equal(parseIdentityUri(uri), null, uri);
  }
});

test("a certificate with two identities has none", () => {
  const [one, two] = ["clusterduck://prod/member/c1", "clusterduck://prod/agent/c1"];

  assert.deepEqual(identityOfUris(["https://example.org", one]), {
    role: "member",
    name: "c1",
    cluster: "prod",
  });
  assert.equal(identityOfUris([one, two]), null);
  assert.equal(identityOfUris([]), null);
});

test("names are what ids of coordinators and agents can be", () => {
  assert.ok(isPeerName("host-1.example.org") && isPeerName("a@b:1"));
  assert.ok(!isPeerName("") && !isPeerName("a/b") && !isPeerName("-a") && !isPeerName("a".repeat(129)));
  assert.ok(isTierName("prod") && !isTierName("a b") && !isTierName("a:1"));
});
