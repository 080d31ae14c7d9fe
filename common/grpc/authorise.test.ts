import assert from "node:assert/strict";
import { test } from "node:test";
import { PEER_ROLES } from "../tls/identity.js";
import type { PeerIdentity, PeerRole } from "../tls/identity.js";
import { authorise } from "./authorise.js";

const who = (role: PeerRole, cluster = "prod"): PeerIdentity => ({ role, name: "x1", cluster });
const ask = (callers: readonly PeerRole[] | null, caller: PeerIdentity | null) =>
  authorise({
    service: "clusterduck.v1.AgentService",
    callers,
    caller,
    own: { role: "member", name: "c1", cluster: "prod" },
  });

test("a service takes its own callers and no others, and says what it wants", () => {
  for (const role of PEER_ROLES) {
    for (const needed of PEER_ROLES) {
      const refusal = ask([needed], who(role));

      if (role === needed) assert.equal(refusal, null);
      else {
        assert.equal(refusal?.code, "PERMISSION_DENIED");
        const article = needed === "agent" ? "an agent" : `a ${needed}`;
        assert.equal(refusal.message, `it is for ${role} "x1", and AgentService wants one for ${article}`);
        assert.match(refusal.hint ?? "", new RegExp(`duckctl tls issue ${needed} NAME`));
      }
    }
  }
});

test("a service whose callers nobody named takes nobody, one for all takes every holder", () => {
  for (const role of PEER_ROLES) {
    assert.match(ask([], who(role))?.message ?? "", /wants none at all/);
    assert.equal(ask(null, who(role)), null);
  }
});

test("a coordinator may ask itself, another member may not ask it", () => {
  assert.equal(ask(["client"], { role: "member", name: "c1", cluster: "prod" }), null);
  assert.notEqual(ask(["client"], { role: "member", name: "c2", cluster: "prod" }), null);
  assert.notEqual(ask(["client"], { role: "agent", name: "c1", cluster: "prod" }), null);
});

test("neither another tier nor a certificate without identity is let in, whatever the service", () => {
  for (const callers of [null, ["client"]] as const) {
    assert.match(
      ask(callers, who("client", "test"))?.message ?? "",
      /client "x1" of "test", and this is "prod"/,
    );
    assert.match(ask(callers, null)?.message ?? "", /no name like clusterduck:\/\/prod\/client\/NAME/);
  }
});
