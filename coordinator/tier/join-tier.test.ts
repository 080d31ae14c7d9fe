import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { atEnd, temporaryFolder } from "../../test/support/at-end.js";
import { ClusterduckError } from "../../common/errors.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { bindService } from "../../common/grpc/service.js";
import type { ServiceHandlers } from "../../common/grpc/service.js";
import { silentLogger } from "../../common/logger.js";
import { RaftService } from "../../proto/gen/clusterduck/v1/raft_pb.js";
import { TierService } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import { joinDurably } from "./join-tier.js";
import { newTierFile } from "./tier-file.js";
import type { TierPassphrase } from "./tier-passphrase.js";

const listen = { host: "127.0.0.1", port: 0 };
const NOBODY = "127.0.0.1:1";

test("a member that knows no leader runs: it is told why nobody leads, not that another is to be named", async (t) => {
  const refusal = new ClusterduckError("UNREACHABLE", "No leader in term 3: c2 has not answered", {
    hint: "Start those that are missing",
  });
  const address = await memberThat(t, async () => {
    throw refusal;
  });

  await assert.rejects(join(t, [NOBODY, address]), (thrown: ClusterduckError) => {
    const { code, message, hint } = thrown;
    assert.equal(code, "UNREACHABLE");
    assert.match(
      message,
      /Cannot reach 127\.0\.0\.1:1: .*; 127\.0\.0\.1:\d+ answers: No leader in term 3: c2 has/,
    );
    assert.equal(hint, "Start those that are missing");
    return true;
  });
});

test("one that waits for an election is no reason not to ask the next, and nobody at all is told as such", async (t) => {
  const waiting = await memberThat(t, async () => {
    throw new ClusterduckError("NOT_LEADER", "No leader in term 3: an election is under way");
  });
  const good = await memberThat(t, async () => ({ clusterId: "k1", incarnation: "", members: [] }));

  assert.equal((await join(t, [waiting, good])).joined.clusterId, "k1");
  await assert.rejects(join(t, [NOBODY]), { hint: /^Name the raft address of a member that runs/ });
});

test("another port of a coordinator is told as such, with the one that is meant", async (t) => {
  const hint = /^Name a coordinator's raft address, usually port 9910/;
  const service = bindService(RaftService, {} as ServiceHandlers<typeof RaftService>);
  const grpc = await createGrpcServer({ listen, logger: silentLogger, services: [service], tls: null });
  atEnd(t, () => grpc.close(0));
  const http = createServer((_request, response) => response.end("ok")).listen(0, "127.0.0.1");
  atEnd(t, () => http.close());
  await new Promise((resolve) => http.once("listening", resolve));

  await assert.rejects(join(t, [grpc.address]), {
    message:
      /does not know this call.*: it is not where coordinators listen for each other, or is of another version$/,
    hint,
  });
  await assert.rejects(join(t, [`127.0.0.1:${(http.address() as AddressInfo).port}`]), {
    message: /what listens there does not speak gRPC; it may be a coordinator's HTTP port/,
    hint,
  });
});

type Join = ServiceHandlers<typeof TierService>["join"];

async function memberThat(t: TestContext, answer: Join): Promise<string> {
  const handlers = { join: answer } as ServiceHandlers<typeof TierService>;
  const services = [bindService(TierService, handlers)];
  const server = await createGrpcServer({ listen, logger: silentLogger, services, tls: null });
  atEnd(t, () => server.close(0));
  return server.address;
}

async function join(t: TestContext, addresses: readonly string[]) {
  return joinDurably({
    directory: await temporaryFolder(t, "duck-join-"),
    file: newTierFile("c9"),
    address: "127.0.0.1:9919",
    version: "1.0.0",
    addresses,
    token: null,
    tls: null,
    passphrase: {
      prove: async () => ({ assertConfirmed: () => undefined }),
    } as unknown as TierPassphrase,
    signal: new AbortController().signal,
  });
}
