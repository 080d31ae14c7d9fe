import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../common/virtual-clock.js";
import { fakeReplica } from "../../test/support/fake-replica.js";
import type { CallContext } from "../../common/grpc/service.js";
import type { JoinTokenRecord } from "../state/model.js";
import type { ControlContext } from "./context.js";
import { coordinatorMethods } from "./coordinator-methods.js";

const OPEN: JoinTokenRecord = {
  id: "t1",
  coordinatorId: "c9",
  by: "api:test",
  madeAtMs: 0,
  expiresAtMs: 4_000_000_000_000,
  end: null,
};
const CALL = { peer: "test" } as CallContext;

test("tokens and coordinators are told from the newest state, unless the caller takes what there is", async () => {
  const { methods } = lagging();
  const stale = { isStale: true } as const;
  const newest = { isStale: false } as const;

  const before = await methods.listJoinTokens(request("ListJoinTokensRequest", stale), CALL);
  const listedBefore = await methods.listCoordinators(request("ListCoordinatorsRequest", stale), CALL);
  assert.deepEqual([before.tokens?.[0]?.state, listedBefore.leaderId], ["open", "c1"]);

  const listed = await methods.listCoordinators(request("ListCoordinatorsRequest", newest), CALL);
  assert.equal(listed.leaderId, "c2");
  const { methods: others } = lagging();
  const tokens = await others.listJoinTokens(request("ListJoinTokensRequest", newest), CALL);
  assert.equal(tokens.tokens?.[0]?.state, "revoked");
});

/** A coordinator that has not heard yet that another one leads, and has revoked a token. */
function lagging() {
  const joinTokens = new Map([[OPEN.id, OPEN]]);
  let leaderId = "c1";
  const replica = fakeReplica([], []);
  const context = {
    replica: {
      ...replica,
      state: { ...replica.state, joinTokens },
      readBarrier: async () => {
        leaderId = "c2";
        joinTokens.set(OPEN.id, { ...OPEN, end: { kind: "revoked", atMs: 1, by: "api:test" } });
      },
    },
    clock: new VirtualClock(),
    log: { leadership: () => ({ leaderId, term: 1, isLeader: false }), status: () => ({ commitIndex: 1 }) },
    tier: { members: () => [] },
  } as unknown as ControlContext;
  return { methods: coordinatorMethods(context) };
}

function request<Name extends string>(name: Name, { isStale }: { readonly isStale: boolean }) {
  return { $typeName: `clusterduck.v1.${name}` as const, isStale };
}
