import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import { systemClock } from "../../common/clock.js";
import { createGrpcClient } from "../../common/grpc/client.js";
import type { GrpcClient } from "../../common/grpc/client.js";
import { isUnsent } from "../../common/grpc/unsent.js";
import { silentLogger } from "../../common/logger.js";
import { VirtualClock } from "../../common/virtual-clock.js";
import { RaftService } from "../../proto/gen/clusterduck/v1/raft_pb.js";
import { freePort } from "../../test/support/free-port.js";
import { createTlsTier } from "../../test/support/tls.js";
import type { TestTlsTier } from "../../test/support/tls.js";
import { assertUnknown } from "./assert-unknown.js";

type Envelope = { readonly clusterId: string; readonly from: string; readonly to: string };

let tier: TestTlsTier;
before(async () => {
  tier = await createTlsTier();
});
after(() => tier.remove());

test("a member that knows this one by its name keeps it from beginning a tier of its own", async (t) => {
  const { beginning, callAs } = await listenAs(t, "c1");

  const refused = assert.rejects(beginning, {
    code: "CONFLICT",
    message: /"c1" was a member of tier T, says coordinator "c2"/,
  });
  await callAs({ certificate: "c2", from: "c2" });

  await refused;
});

test("who calls under a name that its certificate does not bear is not believed", async (t) => {
  const { beginning, callAs, clock } = await listenAs(t, "c1");

  const answer = await callAs({ certificate: "c3", from: "c2" });
  await clock.advance(10_000);

  assert.match(answer, /The certificate is for member "c3", and the coordinator calls itself "c2"/);
  await beginning;
});

async function listenAs(t: TestContext, id: string) {
  const tls = await tier.open(await tier.issue("member", id), "member");
  const clock = new VirtualClock();
  const port = await freePort();
  const stop = new AbortController();
  const beginning = assertUnknown({
    id,
    listen: { host: "127.0.0.1", port },
    tls,
    clock,
    logger: silentLogger,
    signal: stop.signal,
  });
  t.after(async () => {
    stop.abort();
    await beginning.catch(() => undefined);
    tls.close();
  });
  /** Resolves with what the caller is told. */
  const callAs = async ({ certificate, from }: { readonly certificate: string; readonly from: string }) => {
    const own = await tier.open(await tier.issue("member", certificate), "member");
    const client = createGrpcClient(RaftService, `127.0.0.1:${port}`, { tls: own });
    try {
      for (;;) {
        const problem = await answerTo(client, { clusterId: "T", from, to: id });
        // It does not listen yet.
        if (!isUnsent(problem)) return String(problem);
        await systemClock.sleep(10);
      }
    } finally {
      client.close();
      own.close();
    }
  };
  return { beginning, callAs, clock };
}

async function answerTo(client: GrpcClient<typeof RaftService>, envelope: Envelope): Promise<unknown> {
  try {
    for await (const _answer of client.call.exchange(frames(envelope))) break;
    return null;
  } catch (thrown) {
    return thrown;
  }
}

async function* frames(envelope: Envelope) {
  yield { envelope: { ...envelope, messages: [] } };
}
