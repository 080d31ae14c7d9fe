import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../common/clock.js";
import { createGrpcServer } from "../../../common/grpc/server.js";
import { bindService } from "../../../common/grpc/service.js";
import { silentLogger } from "../../../common/logger.js";
import { systemRandom } from "../../../common/random.js";
import { RaftService } from "../../../proto/gen/clusterduck/v1/raft_pb.js";
import { until } from "../../../test/support/until.js";
import type { Message } from "../../raft/message.js";
import { MAX_ENTRY_BYTES } from "../storage/log-change.js";
import { decodeEnvelope, encodeEnvelopeBytes, FRAME_BYTES, MAX_FRAME_BYTES } from "./codec.js";
import { createGrpcTransport } from "./grpc-transport.js";
import { SendQueue } from "./send-queue.js";

const MIB = 1024 * 1024;
const FROM_TO = { from: "c1", to: "c2", term: 1 } as const;

test("heartbeats and answers overtake entries, and each kind keeps its order", () => {
  const queue = new SendQueue();
  const sent = [append(1, MIB), append(2, MIB), reply(1), heartbeat(1), append(3, MIB), reply(2)];

  for (const message of sent) queue.push(message);

  assert.deepEqual(queue.take().map(nameOf), [
    "reply 1",
    "beat 1",
    "reply 2",
    "entry 1",
    "entry 2",
    "entry 3",
  ]);
});

test("a newer heartbeat takes the place of an older one", () => {
  const queue = new SendQueue();

  queue.push(heartbeat(1));
  queue.push(reply(1));
  queue.push(heartbeat(2));

  assert.deepEqual(queue.take().map(nameOf), ["beat 2", "reply 1"]);
});

test("whoever is to follow is told so after the entries that it needs", () => {
  const queue = new SendQueue();

  queue.push(append(1, MIB));
  queue.push({ ...FROM_TO, kind: "timeoutNow" });

  assert.deepEqual(queue.take().map(nameOf), ["entry 1", "timeoutNow"]);
});

test("a queue full of entries still takes heartbeats, and the other way round", () => {
  const full = new SendQueue();
  while (full.push(append(1, MIB)));
  const busy = new SendQueue();
  while (busy.push(reply(1)));

  assert.equal(full.push(heartbeat(1)), true);
  assert.equal(busy.push(append(1, MIB)), true);
  assert.deepEqual([full.dropped, busy.dropped], [1, 1]);
});

test("however many answers wait, an entry as large as may be goes with the next frame, and that may be sent", () => {
  const queue = new SendQueue();
  for (let round = 0; round < 5_000; round++) queue.push(reply(round));
  assert.equal(queue.push(append(1, MAX_ENTRY_BYTES)), true);

  const messages = queue.take();

  assert.equal(messages.at(-1)?.kind, "append");
  const frame = encodeEnvelopeBytes({ clusterId: "t", from: "c1", to: "c2", messages });
  assert.ok(frame.length <= MAX_FRAME_BYTES);
  assert.ok(queue.take().length > 0);
});

test("a slow peer hears its leader while megabytes of entries wait for it", async (context) => {
  const seen: string[] = [];
  const server = await createGrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    logger: silentLogger,
    services: [slowReader("c2", seen)],
    messageBytesMax: MAX_FRAME_BYTES,
  });
  const transport = createGrpcTransport({
    memberId: "c1",
    clusterId: "t",
    tls: null,
    electionMs: 1_000,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  context.after(async () => {
    await transport.close();
    await server.close(0);
  });
  transport.follow([{ id: "c2", address: server.address }]);
  await until(() => transport.links()[0]?.isConnected === true, "they are connected");
  const count = (7 * FRAME_BYTES) / MIB;

  transport.send(Array.from({ length: count }, (_, at) => append(at + 1, MIB - 1_024)));
  await until(() => seen.length > 0, "the first entries have arrived");
  for (let round = 1; round <= 50; round++) {
    transport.send([heartbeat(round)]);
    await systemClock.sleep(2);
  }
  await until(() => seen.includes(`entry ${count}`) && seen.includes("beat 50"), "all has arrived");

  const entriesBefore = (name: string): number =>
    seen.slice(0, seen.indexOf(name)).filter((each) => each.startsWith("entry")).length;
  const firstBeat = seen.find((name) => name.startsWith("beat")) ?? "";
  assert.ok(
    entriesBefore(firstBeat) <= count / 2,
    `the first one came behind ${entriesBefore(firstBeat)} entries`,
  );
});

/** Takes a frame only so often, as a busy host does. */
function slowReader(id: string, seen: string[]) {
  return bindService(
    RaftService,
    {
      exchange: async function* (requests) {
        yield { envelope: { clusterId: "t", from: id, to: "c1", messages: [] } };
        for await (const { envelope } of requests) {
          seen.push(...decodeEnvelope(envelope).messages.map(nameOf));
          await systemClock.sleep(50);
        }
      },
      installSnapshot: async function* () {
        // Nobody sends one.
      },
    },
    ["member"],
  );
}

function append(index: number, bytes: number): Message {
  const entry = { index, term: 1, kind: "command", payload: new Uint8Array(bytes) } as const;
  const previous = { index: index - 1, term: index === 1 ? 0 : 1 };
  return { ...FROM_TO, kind: "append", previous, entries: [entry], commit: 0 };
}

function heartbeat(round: number): Message {
  return { ...FROM_TO, kind: "heartbeat", round };
}

function reply(round: number): Message {
  return { ...FROM_TO, kind: "heartbeatReply", round, commit: 0 };
}

function nameOf(message: Message): string {
  switch (message.kind) {
    case "append":
      return `entry ${message.previous.index + 1}`;
    case "heartbeat":
      return `beat ${message.round}`;
    case "heartbeatReply":
      return `reply ${message.round}`;
    default:
      return message.kind;
  }
}
