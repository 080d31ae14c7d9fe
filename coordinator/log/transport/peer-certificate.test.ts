import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import { systemClock } from "../../../common/clock.js";
import { createGrpcServer } from "../../../common/grpc/server.js";
import { silentLogger } from "../../../common/logger.js";
import { systemRandom } from "../../../common/random.js";
import { createTlsTier } from "../../../test/support/tls.js";
import type { TestTlsTier } from "../../../test/support/tls.js";
import { until } from "../../../test/support/until.js";
import type { Message, MessageOf } from "../../raft/message.js";
import { MAX_FRAME_BYTES } from "./codec.js";
import { createGrpcTransport } from "./grpc-transport.js";

let tier: TestTlsTier;
before(async () => {
  tier = await createTlsTier();
});
after(() => tier.remove());

test("members whose certificates bear their names are in touch", async (t) => {
  const one = await join(t, { id: "c1", certificate: "c1" });
  const two = await join(t, { id: "c2", certificate: "c2" });

  one.transport.follow([{ id: "c2", address: two.address }]);
  one.transport.send([vote("c1", "c2")]);

  await until(() => two.messages.length === 1, "the message is there");
});

test("whoever answers at a member's address with another member's certificate gets and gives no messages", async (t) => {
  const one = await join(t, { id: "c1", certificate: "c1" });
  // For the host of c2, too, as a certificate for several hosts is: it still votes as c3 only.
  const impostor = await join(t, { id: "c2", certificate: "c3" });

  one.transport.follow([{ id: "c2", address: impostor.address }]);
  one.transport.send([vote("c1", "c2")]);
  await until(() => one.transport.links()[0]?.problem != null, "it is refused");

  assert.match(
    one.transport.links()[0]?.problem ?? "",
    /its certificate is for member "c3", and member "c2" was called\. Correct the address/,
  );
  assert.deepEqual([one.messages, impostor.messages], [[], []]);
});

test("an address that is none makes a peer unreachable, and harms nobody else", async (t) => {
  const one = await join(t, { id: "c1", certificate: "c1" });
  const two = await join(t, { id: "c2", certificate: "c2" });

  one.transport.follow([
    { id: "c2", address: two.address },
    { id: "c3", address: "no address" },
  ]);
  one.transport.send([vote("c1", "c2")]);
  const isInstalled = await one.transport.sendSnapshot(snapshotTo("c3"), new Uint8Array(10));

  await until(() => two.messages.length === 1, "the other one is heard");
  assert.match(one.transport.links()[1]?.problem ?? "", /Cannot connect to "no address": Invalid address/);
  assert.equal(isInstalled, false);
});

test("a snapshot goes to nobody else than the member that lacks it", async (t) => {
  const one = await join(t, { id: "c1", certificate: "c1" });
  const impostor = await join(t, { id: "c2", certificate: "c3" });
  one.transport.follow([{ id: "c2", address: impostor.address }]);

  const isInstalled = await one.transport.sendSnapshot(snapshotTo("c2"), new Uint8Array(10));

  assert.equal(isInstalled, false);
  assert.deepEqual(impostor.snapshots, []);
});

async function join(
  t: TestContext,
  { id, certificate }: { readonly id: string; readonly certificate: string },
) {
  const tls = await tier.open(await tier.issue("member", certificate), "member");
  const transport = createGrpcTransport({
    memberId: id,
    clusterId: "t",
    tls,
    electionMs: 1_000,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  const messages: Message[] = [];
  const snapshots: MessageOf<"installSnapshot">[] = [];
  transport.start({
    onMessages: (arrived) => void messages.push(...arrived),
    onUnreachable: () => undefined,
    onDisconnected: () => undefined,
    onSnapshot: async (message) => void snapshots.push(message),
  });
  const server = await createGrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    logger: silentLogger,
    services: [transport.service],
    messageBytesMax: MAX_FRAME_BYTES,
    tls,
  });
  t.after(async () => {
    await transport.close();
    await server.close(0);
    tls.close();
  });
  return { transport, address: server.address, messages, snapshots };
}

function snapshotTo(to: string): MessageOf<"installSnapshot"> {
  const membership = [{ id: "c1", role: "voter", address: "" }] as const;
  return { from: "c1", to, term: 3, kind: "installSnapshot", last: { index: 9, term: 2 }, membership };
}

function vote(from: string, to: string): Message {
  return { from, to, term: 1, kind: "voteReply", isGranted: true };
}
