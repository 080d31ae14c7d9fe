import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createGrpcServer } from "../../common/grpc/server.js";
import { bindService } from "../../common/grpc/service.js";
import type { ServiceHandlers } from "../../common/grpc/service.js";
import { silentLogger } from "../../common/logger.js";
import { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { atEnd } from "../../test/support/at-end.js";
import { runDuckctl } from "../../test/support/duckctl.js";

type Member = { readonly id: string; readonly role: string; readonly state: string };
const member = (id: string, role = "follower", state = "answers"): Member => ({ id, role, state });

/** A coordinator with these members, and what it was asked to remove. */
async function tierOf(t: TestContext, coordinators: readonly (Member & { lastHeardAtMs?: number })[]) {
  const removed: string[] = [];
  const handlers: Partial<ServiceHandlers<typeof ControlService>> = {
    listCoordinators: async () => ({
      coordinators: coordinators.map(({ lastHeardAtMs, ...rest }) => ({
        ...rest,
        ...(lastHeardAtMs === undefined ? {} : { lastHeardAt: timestampFromMs(lastHeardAtMs) }),
      })),
    }),
    removeCoordinator: async ({ id }) => {
      removed.push(id);
      return {};
    },
  };
  const server = await createGrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    logger: silentLogger,
    services: [bindService(ControlService, handlers as ServiceHandlers<typeof ControlService>)],
    tls: null,
  });
  atEnd(t, () => server.close(0));
  const duckctl = (args: readonly string[], ask: ((question: string) => Promise<string>) | null = null) =>
    runDuckctl(["-s", server.address, "coordinators", ...args], { ask, width: 300 });
  return { duckctl, removed };
}

test("a removal after which the tier bears no further loss needs --yes where nobody can be asked", async (t) => {
  const { duckctl, removed } = await tierOf(t, [member("c1", "leader"), member("c2"), member("c3")]);

  const refused = await duckctl(["remove", "c3"]);
  assert.equal(refused.code, 2);
  assert.match(
    refused.err,
    /Nothing was done: nobody can be asked here\. Of 2 voting coordinators that this leaves 2 answer, and 2 are needed: the loss of one more of them stops the tier\n.*coordinators remove c3 --yes/,
  );
  assert.equal((await duckctl(["remove", "c3"], async () => "c1")).code, 1);
  assert.deepEqual(removed, []);

  assert.equal((await duckctl(["remove", "c3"], async () => "c3")).code, 0);
  assert.equal((await duckctl(["remove", "c2", "--yes"])).code, 0);
  assert.deepEqual(removed, ["c3", "c2"]);
});

test("one that leaves no majority says so; one that the tier bears, and that of a learner, needs no word", async (t) => {
  const ids = ["c1", "c2", "c3", "c4", "c5"];
  const dead = await tierOf(t, [
    ...[member("c1", "leader"), member("c2"), member("c3", "follower", "missing")],
    ...[member("c4", "follower", "missing"), member("c9", "learner")],
  ]);
  const well = await tierOf(t, [...ids.map((id) => member(id)), member("c9", "learner")]);

  assert.match(
    (await dead.duckctl(["remove", "c2"])).err,
    /leaves 1 answer, and 2 are needed: the tier stops/,
  );
  assert.equal((await dead.duckctl(["remove", "c9"])).code, 0);
  assert.equal((await well.duckctl(["remove", "c5"])).code, 0);
  assert.deepEqual([dead.removed, well.removed], [["c9"], ["c5"]]);
});

test("who was never heard is listed so, and who cannot be heard from here as unknown", async (t) => {
  const { duckctl } = await tierOf(t, [
    { ...member("c1", "leader"), lastHeardAtMs: Date.UTC(2026, 0, 1) },
    member("c2", "learner", "missing"),
    member("c3", "follower", "unknown"),
  ]);

  const { out } = await duckctl(["list", "-o", "wide"]);

  assert.match(out, /c1 .*2026-01-01T00:00:00\.000Z/);
  assert.match(out, /c2 .* never /);
  assert.doesNotMatch(out, /c3 .*never/);
});
