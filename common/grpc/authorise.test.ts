import assert from "node:assert/strict";
import { test } from "node:test";
import { PEER_ROLES } from "../tls/identity.js";
import type { PeerIdentity, PeerRole } from "../tls/identity.js";
import { authorise } from "./authorise.js";

const who = (role: PeerRole, cluster = "prod"): PeerIdentity => ({ role, name: "x1", cluster });
const ask = (callers: readonly PeerRole[] | null, caller: PeerIdentity | null, isForSelf = false) =>
  authorise({
    isForSelf,
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

test("a coordinator may ask itself how it is and no more, another member may not even ask", () => {
  const itself = { role: "member", name: "c1", cluster: "prod" } as const;

  assert.equal(ask(["client"], itself, true), null);
  assert.match(
    ask(["client"], itself)?.message ?? "",
    /is for member "c1", and AgentService wants one for a client/,
  );
  assert.notEqual(ask(["client"], { ...itself, name: "c2" }, true), null);
  assert.notEqual(ask(["client"], { ...itself, role: "agent" }, true), null);
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
