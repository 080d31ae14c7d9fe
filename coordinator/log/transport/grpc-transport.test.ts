import { create } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../common/clock.js";
import { createGrpcClient } from "../../../common/grpc/client.js";
import { createGrpcServer } from "../../../common/grpc/server.js";
import type { GrpcServer } from "../../../common/grpc/server.js";
import { createLogger, silentLogger } from "../../../common/logger.js";
import { systemRandom } from "../../../common/random.js";
import { RaftMessageSchema, RaftService } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import { until } from "../../../test/support/until.js";
import type { Entry } from "../../raft/entry.js";
import type { Message, MessageOf } from "../../raft/message.js";
import { MAX_ENTRY_BYTES } from "../storage/log-change.js";
import { MAX_FRAME_BYTES } from "./codec.js";
import { createGrpcTransport } from "./grpc-transport.js";
import type { GrpcTransport } from "./grpc-transport.js";

test("messages arrive in order, both ways, from the first on", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2");
  one.follow([two]);
  two.follow([one]);
  const sent = Array.from({ length: 500 }, (_, round) => heartbeatReply("c1", "c2", round));

  one.transport.send(sent);
  two.transport.send([heartbeatReply("c2", "c1", 7)]);

  await until(() => two.messages.length === 500 && one.messages.length === 1, "all have arrived");
  assert.deepEqual(two.messages, sent);
});

test("one that knows no address answers over the stream that was opened to it", async (context) => {
  const leader = await join(context, "c1");
  const joining = await join(context, "c2");
  leader.follow([joining]);
  leader.transport.send([heartbeatReply("c1", "c2", 1)]);
  await until(() => joining.messages.length === 1, "the leader is heard");

  joining.transport.send([heartbeatReply("c2", "c1", 2)]);

  await until(() => leader.messages.length === 1, "the answer is heard");
});

test("a peer that was away is found again, and told of as unreachable meanwhile", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2");
  one.follow([two]);
  one.transport.send([heartbeatReply("c1", "c2", 1)]);
  await until(() => two.messages.length === 1, "it is heard");

  await two.server.close(0);
  await until(() => one.unreachable.includes("c2"), "it is told");
  const link = one.transport.links()[0];
  const again = await join(context, "c2", { port: two.server.port });
  await until(() => one.transport.links()[0]?.isConnected === true, "it is found again");
  one.transport.send([heartbeatReply("c1", "c2", 2)]);

  assert.equal(link?.isConnected, false);
  await until(() => again.messages.length === 1, "it is heard again");
});

test("a member of another cluster is refused in words, on both ends", async (context) => {
  const one = await join(context, "c1", { clusterId: "A" });
  const two = await join(context, "c2", { clusterId: "B" });

  one.follow([two]);

  await until(() => one.transport.links()[0]?.problem != null, "it is refused");
  assert.match(
    one.transport.links()[0]?.problem ?? "",
    /Cannot take messages of coordinator "c1": it belongs to cluster A, "c2" to B/,
  );
  one.transport.send([heartbeatReply("c1", "c2", 1)]);
  assert.deepEqual(two.messages, []);
});

test("members of different incarnations of a tier refuse each other, and both ends say which and what to do", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2", { incarnation: "5eed" });

  one.follow([two]);

  await until(() => one.transport.links()[0]?.isRefused === true, "it is refused");
  const words =
    /Cannot take messages of coordinator "c1": it belongs to tier t as it was founded, "c2" to incarnation 5eed of tier t\. recover-quorum or snapshot restore .* duckctl coordinators add ID/;
  assert.match(one.transport.links()[0]?.problem ?? "", words);
  const [seen] = two.transport.links();
  assert.deepEqual([seen?.id, seen?.isRefused, seen?.isConnected], ["c1", true, false]);
  assert.match(seen?.problem ?? "", words);
  const snapshot = await one.transport.sendSnapshot(snapshotTo("c2"), new Uint8Array(1));
  assert.equal(snapshot, false);
  assert.deepEqual([two.messages, two.snapshots], [[], []]);
});

test("members that know of no incarnation, and those that were told the first one's name, are of one tier", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2", { incarnation: "t" });
  const three = await join(context, "c3", { incarnation: "5eed", clusterId: "" });
  const four = await join(context, "c4", { incarnation: "5eed" });

  one.follow([two]);
  // It stood alone until now, and reads its tier's name only later.
  three.follow([four]);

  await until(() => one.transport.links()[0]?.isConnected === true, "one and two are connected");
  await until(() => three.transport.links()[0]?.isConnected === true, "three and four are connected");
});

test("both ends of a stream that was up are told of its end, once; an attempt that never got through is not one", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2");
  one.transport.follow([
    { id: "c2", address: two.server.address },
    { id: "c3", address: "127.0.0.1:1" },
  ]);
  await until(() => one.transport.links()[0]?.isConnected === true, "they are connected");

  await one.transport.close();
  await until(() => two.disconnected.length > 0, "the one that was called is told");
  const three = await join(context, "c3");
  three.follow([two]);
  await until(() => three.transport.links()[0]?.isConnected === true, "they are connected");
  await two.server.close(0);
  await until(() => three.disconnected.length > 0, "the one that called is told");

  await until(() => three.unreachable.length > 2, "it has tried again");
  assert.deepEqual(two.disconnected, ["c1", "c3"]);
  assert.deepEqual(three.disconnected, ["c2"]);
  assert.deepEqual(one.disconnected, []);
});

test("one that was removed is shut out in words, at once and for ever; to it, words still go", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2");
  const removed = new Set<string>();
  two.transport.shutOut((id) => removed.has(id));
  one.follow([two]);
  two.follow([one]);
  one.transport.send([heartbeatReply("c1", "c2", 1)]);
  await until(() => two.messages.length === 1, "it was heard");

  removed.add("c1");
  one.transport.send([heartbeatReply("c1", "c2", 2)]);
  await until(() => one.transport.links()[0]?.problem != null, "it is told why");

  assert.match(one.transport.links()[0]?.problem ?? "", /"c1" was removed from this tier\. Stop it/);
  assert.equal(await one.transport.sendSnapshot(snapshotTo("c2"), new Uint8Array(10)), false);
  two.transport.send([heartbeatReply("c2", "c1", 3)]);
  await until(() => one.messages.length === 1, "it is told that it was removed");
  assert.deepEqual([two.messages.length, two.snapshots.length], [1, 0]);
});

test("an address that leads to another member is told", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2");

  one.transport.follow([{ id: "c3", address: two.server.address }]);

  await until(() => one.transport.links()[0]?.problem != null, "it is refused");
  assert.match(one.transport.links()[0]?.problem ?? "", /messages for coordinator "c3": this is "c2"/);
});

test("a peer that does not read makes its messages be dropped, and costs bounded memory", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2");
  one.follow([two]);
  const entry: Entry = { index: 1, term: 1, kind: "command", payload: new Uint8Array(1024 * 1024) };
  const previous = { index: 0, term: 0 };
  const append: Message = {
    from: "c1",
    to: "c2",
    term: 1,
    kind: "append",
    previous,
    entries: [entry],
    commit: 0,
  };

  one.transport.send(Array.from({ length: 100 }, () => append));

  assert.ok((one.transport.links()[0]?.droppedMessages ?? 0) >= 60);
  await until(() => one.unreachable.includes("c2"), "the core is told");
});

test("entries as large as may be arrive, in a frame of their own each", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2");
  one.follow([two]);
  const appendOf = (index: number, bytes: number): Message => {
    const entries = [
      { index, term: 1, kind: "command" as const, payload: new Uint8Array(bytes).fill(index) },
    ];
    const previous = { index: index - 1, term: index === 1 ? 0 : 1 };
    return { from: "c1", to: "c2", term: 1, kind: "append", previous, entries, commit: 0 };
  };
  const sent = [appendOf(1, 1), appendOf(2, MAX_ENTRY_BYTES), appendOf(3, 5_000_000), appendOf(4, 1)];

  one.transport.send(sent.slice(0, 3));
  await until(() => two.messages.length === 3, "the large ones have arrived");
  one.transport.send(sent.slice(3));

  await until(() => two.messages.length === 4, "all have arrived");
  const seen = two.messages.map((message) => (message.kind === "append" ? message.entries[0] : undefined));
  assert.deepEqual(
    seen.map((entry) => [entry?.index, entry?.payload.length, entry?.payload.at(-1)]),
    [
      [1, 1, 1],
      [2, MAX_ENTRY_BYTES, 2],
      [3, 5_000_000, 3],
      [4, 1, 4],
    ],
  );
});

test("a snapshot of many chunks arrives as it was", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2");
  one.follow([two]);
  const data = new Uint8Array(5_500_000).map((_, at) => at % 251);

  const isInstalled = await one.transport.sendSnapshot(snapshotTo("c2"), data);

  assert.equal(isInstalled, true);
  assert.deepEqual(two.snapshots[0]?.message, snapshotTo("c2"));
  assert.ok(Buffer.from(data).equals(two.snapshots[0]?.data ?? Buffer.alloc(0)));
});

test("a snapshot that nobody takes is reported as not installed", async (context) => {
  const one = await join(context, "c1");
  const two = await join(context, "c2");
  one.follow([two]);
  await two.server.close(0);

  const sending = one.transport.sendSnapshot(snapshotTo("c2"), new Uint8Array(10));
  one.transport.follow([]);
  await one.transport.close();

  assert.equal(await sending, false);
});

test("what only newer versions say is left out, told once and counted, and the stream goes on", async (context) => {
  const told: unknown[] = [];
  const older = await join(context, "c1", { onWarning: (fields) => void told.push(fields) });
  const newer = createGrpcClient(RaftService, older.server.address);
  context.after(async () => newer.close());
  const unknown = create(RaftMessageSchema, { term: 1n });
  unknown.$unknown = [{ no: 77, wireType: WireType.LengthDelimited, data: new Uint8Array([0]) }];
  const frames = async function* () {
    for (let round = 0n; round < 3n; round++) {
      const known = { term: 1n, body: { case: "heartbeatReply" as const, value: { round, commit: 0n } } };
      yield { envelope: { clusterId: "t", from: "c2", to: "c1", messages: [unknown, known] } };
    }
    await until(() => older.messages.length === 3, "what is known has arrived");
  };

  for await (const _answer of newer.call.exchange(frames())) if (older.messages.length === 3) break;

  assert.deepEqual(
    older.messages.map((message) => message.kind === "heartbeatReply" && message.round),
    [0, 1, 2],
  );
  assert.equal(told.length, 1);
  assert.match(JSON.stringify(told), /"peer":"c2","kind":77/);
});

type Joined = {
  readonly transport: GrpcTransport;
  readonly server: GrpcServer;
  readonly id: string;
  readonly messages: Message[];
  readonly unreachable: string[];
  readonly disconnected: string[];
  readonly snapshots: { readonly message: MessageOf<"installSnapshot">; readonly data: Uint8Array }[];
  follow(peers: readonly Joined[]): void;
};
type Context = { after(callback: () => Promise<void>): void };

async function join(
  context: Context,
  id: string,
  wish: {
    readonly clusterId?: string;
    readonly incarnation?: string;
    readonly port?: number;
    readonly onWarning?: (fields: unknown) => void;
  } = {},
): Promise<Joined> {
  const transport = createGrpcTransport({
    memberId: id,
    clusterId: wish.clusterId ?? "t",
    incarnation: wish.incarnation ?? "",
    tls: null,
    electionMs: 1_000,
    clock: systemClock,
    random: systemRandom,
    logger: {
      ...(process.env["DEBUG"] === undefined ? silentLogger : createLogger({ program: id })),
      ...(wish.onWarning === undefined ? {} : { warn: (_event, fields) => wish.onWarning?.(fields) }),
    },
  });
  const messages: Message[] = [];
  const unreachable: string[] = [];
  const disconnected: string[] = [];
  const snapshots: Joined["snapshots"] = [];
  transport.start({
    onMessages: (arrived) => void messages.push(...arrived),
    onUnreachable: (peer) => void unreachable.push(peer),
    onDisconnected: (peer) => void disconnected.push(peer),
    onSnapshot: async (message, data) => void snapshots.push({ message, data }),
  });
  const server = await createGrpcServer({
    listen: { host: "127.0.0.1", port: wish.port ?? 0 },
    logger: silentLogger,
    services: [transport.service],
    messageBytesMax: MAX_FRAME_BYTES,
  });
  context.after(async () => {
    await transport.close();
    await server.close(0);
  });
  const follow = (peers: readonly Joined[]): void =>
    transport.follow(peers.map((peer) => ({ id: peer.id, address: peer.server.address })));
  return { transport, server, id, messages, unreachable, disconnected, snapshots, follow };
}

function heartbeatReply(from: string, to: string, round: number): Message {
  return { from, to, term: 1, kind: "heartbeatReply", round, commit: 0 };
}

function snapshotTo(to: string): MessageOf<"installSnapshot"> {
  const membership = [{ id: "c1", role: "voter", address: "" }] as const;
  return { from: "c1", to, term: 3, kind: "installSnapshot", last: { index: 9, term: 2 }, membership };
}
