import assert from "node:assert/strict";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { bindService } from "../../common/grpc/service.js";
import type { ServiceHandlers } from "../../common/grpc/service.js";
import type { PeerIdentity } from "../../common/tls/identity.js";
import { AddNodeRequestSchema, ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { ForwardCallRequestSchema } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { PeerStatus, ReplicatedLog } from "../log/replicated-log.js";
import { answerForwarded } from "./forward-control.js";

const member = (name: string): PeerIdentity => ({ role: "member", name, cluster: "prod" });

test("the leader does what a member passes on, and says on whose behalf", async () => {
  const { answer, asked } = leader("c1");

  await answer(forwarded("addNode"), callBy(member("c2")));
  await answer(forwarded("addNode"), callBy(null));

  assert.deepEqual(asked, ["10.0.0.9:5000 via c2", "10.0.0.9:5000 via c2"]);
});

test("who passed it on is on record by its certificate, whatever it calls itself", async () => {
  const { answer, asked } = leader("c1");

  await answer({ ...forwarded("addNode"), forwardedBy: "c1" }, callBy(member("c2")));

  assert.deepEqual(asked, ["10.0.0.9:5000 via c2"]);
});

test("a certificate outlives membership: who was removed passes nothing on", async () => {
  const { answer, asked } = leader("c1");

  await assert.rejects(answer(forwarded("addNode"), callBy(member("c3"))), {
    code: "PERMISSION_DENIED",
    message: /member "c3" is no member of this tier/,
  });
  assert.deepEqual(asked, []);
});

test("a follower passes nothing further, and nobody gets at what is not for passing on", async () => {
  await assert.rejects(leader("c2").answer(forwarded("addNode"), callBy(member("c2"))), {
    code: "NOT_LEADER",
  });
  await assert.rejects(leader("c1").answer(forwarded("saveSnapshot"), callBy(member("c2"))), {
    code: "INVALID_ARGUMENT",
  });
});

/** Coordinator c1 of a tier of c1 and c2. */
function leader(leaderId: string) {
  const asked: string[] = [];
  const handlers: Partial<ServiceHandlers<typeof ControlService>> = {
    addNode: async (_request, { peer }) => {
      asked.push(peer);
      return {};
    },
  };
  const control = bindService(ControlService, handlers as ServiceHandlers<typeof ControlService>);
  const log: Pick<ReplicatedLog, "leadership" | "onLeadership" | "status"> = {
    leadership: () => ({ leaderId, term: 1, isLeader: leaderId === "c1" }),
    onLeadership: () => () => undefined,
    status: () => ({ commitIndex: 1, firstIndex: 1, bytes: 0, peers: ["c1", "c2"].map(peerOf) }),
  };
  return { answer: answerForwarded(control, log), asked };
}

function forwarded(method: string) {
  const request = toBinary(AddNodeRequestSchema, create(AddNodeRequestSchema, {}));
  return create(ForwardCallRequestSchema, { method, request, caller: "10.0.0.9:5000", forwardedBy: "c2" });
}

function callBy(identity: PeerIdentity | null) {
  return { signal: new AbortController().signal, peer: "127.0.0.1:9", identity };
}

function peerOf(id: string): PeerStatus {
  return { id, role: "voter", address: `${id}:9910`, silentMs: 0, matchIndex: null };
}
