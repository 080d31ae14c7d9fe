/** Coordinators that know one passphrase: they found a tier, join it, and nobody else does. */
import assert from "node:assert/strict";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { systemClock } from "../../common/clock.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { bindService } from "../../common/grpc/service.js";
import { silentLogger } from "../../common/logger.js";
import { openTlsSource } from "../../common/tls/source.js";
import { TierPeers } from "../../coordinator/tier/peers.js";
import { TierService } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { JoinRequest } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import type { CoordinatorTier, TierProcess } from "../support/coordinator-tier.js";
import { runProgram } from "../support/program.js";
import { createTlsTier } from "../support/tls.js";

type Row = { readonly id: string; readonly role: string; readonly state: string };

const YAML = "clusters: {web: {type: tcp}}";
const RIGHT = "quack quack quack 1";
const WRONG = "quack quack quack 2";

test("three that know one passphrase found a tier, over TLS; a fourth joins by being started, and a wrong one is told why", async (t) => {
  const tls = await createTlsTier();
  t.after(() => tls.remove());
  const tier = await startCoordinatorTier(t, {
    yaml: YAML,
    tls,
    raft: (id) => `passphrase: "${id === "c5" ? WRONG : RIGHT}"`,
  });
  await tier.settled();

  // With any member's address: this one is a follower or the leader.
  const fourth = await tier.prepare("c4", { bootstrap: [tier.of("c2").raft] });
  fourth.launch();
  await fourth.program().event(({ event }) => event === "tier.joined");
  await eventually("c4 votes", async () => rowOf(await rowsOf(tier), "c4")?.role === "follower");

  const fifth = await tier.prepare("c5");
  const refused = command(t, fifth, "join", tier.of("c1").raft);
  assert.equal(await refused.ended, 7, refused.text());
  assert.match(refused.text(), /The passphrase of coordinator "c5" is not this tier's/);
  assert.match(refused.text(), /passphrase_file/);
  assert.equal((await rowsOf(tier)).length, 4);
  // The passphrase is nowhere in what the tier shares.
  assert.doesNotMatch((await tier.duckctl("config", "show")).out, /quack/);
});

test("a founder with another passphrase is waited for in words, and founds with the others once it is right", async (t) => {
  const tier = await startCoordinatorTier(t, {
    yaml: YAML,
    isStarted: false,
    raft: (id) => `passphrase: "${id === "c3" ? WRONG : RIGHT}"`,
  });
  for (const member of tier.members) member.launch();
  const third = tier.of("c3");

  // Whichever of the others it meets first.
  const words =
    /waiting for 1 more of 3 coordinators; here: c1, c2; .*passphrase of coordinator "c[13]" is not/;
  await tier
    .of("c1")
    .program()
    .event(({ event, ...fields }) => event === "tier.waiting" && words.test(String(fields["message"])));
  third.program().signal("SIGTERM");
  await third.program().ended;
  await writeFile(third.file, (await readFile(third.file, "utf8")).replace(WRONG, RIGHT));
  third.launch();

  await Promise.all(
    tier.members.map((member) => member.program().event(({ event }) => event === "coordinator.started")),
  );
  await tier.settled();
  assert.equal((await rowsOf(tier)).length, 3);
});

test("without the passphrase a token is not enough; a passphrase where there is none, and neither, are refused", async (t) => {
  const tier = await startCoordinatorTier(t, {
    yaml: YAML,
    size: 1,
    raft: (id) => (id === "c2" ? "" : `passphrase: "${RIGHT}"`),
  });
  await tier.settled();
  const second = await tier.prepare("c2");
  const token = (await tier.duckctl("tokens", "create", "c2", "-o", "name")).out.trim();

  const bare = command(t, second, "join", tier.of("c1").raft);
  assert.equal(await bare.ended, 2);
  assert.match(bare.text(), /neither a token nor a passphrase[\s\S]*tokens create c2/);
  const withToken = command(t, second, "join", tier.of("c1").raft, "--token", token);
  assert.equal(await withToken.ended, 7);
  assert.match(withToken.text(), /This tier has a passphrase, and coordinator "c2" has none/);

  // From a file, and with the token on top.
  const text = await readFile(second.file, "utf8");
  await writeFile(join(second.folder, "passphrase"), `${RIGHT}\n`);
  await writeFile(second.file, text.replace("type: raft", "type: raft, passphrase_file: passphrase"));
  const joined = command(t, second, "join", tier.of("c1").raft, "--token", token);
  assert.equal(await joined.ended, 0, joined.text());
});

test("who guesses is not listened to any more, and its host's others are told to wait", async (t) => {
  const tier = await startCoordinatorTier(t, {
    yaml: YAML,
    size: 1,
    raft: (id) => `passphrase: "${id === "c1" ? RIGHT : WRONG}"`,
  });
  await tier.settled();
  const guesser = await tier.prepare("c2");
  for (let at = 0; at < 5; at++) {
    const run = command(t, guesser, "join", tier.of("c1").raft);
    assert.equal(await run.ended, 7, run.text());
    assert.match(run.text(), /is not this tier's/);
    await rm(join(guesser.folder, "data"), { recursive: true });
  }

  const sixth = command(t, guesser, "join", tier.of("c1").raft);

  assert.equal(await sixth.ended, 1);
  assert.match(sixth.text(), /Too many wrong passphrases from 127\.0\.0\.1: none is looked at for \d+s/);
});

test("whoever stands between with another certificate of the tier passes nothing on, and is found out", async (t) => {
  const tls = await createTlsTier();
  t.after(() => tls.remove());
  const tier = await startCoordinatorTier(t, {
    yaml: YAML,
    size: 1,
    tls,
    raft: () => `passphrase: "${RIGHT}"`,
  });
  await tier.settled();
  const victim = await tier.prepare("c2");
  // The man in the middle has stolen the new coordinator's own certificate, and one more.
  const between = await manBetween(t, tls, tier.of("c1").raft);

  const run = command(t, victim, "join", between.address);

  assert.equal(await run.ended, 7, run.text());
  assert.match(
    run.text(),
    /Coordinator "c2" was shown another certificate \(SHA-256 [0-9a-f]{16}…\) than this coordinator's.*somebody stands between/,
  );
  assert.equal((await rowsOf(tier)).length, 1);

  // What was overheard is worth nothing either: a nonce answers once, and only for what was asked.
  const overheard = between.requests.at(-1);
  assert.ok(overheard !== undefined);
  await assert.rejects(between.replay(overheard), {
    code: "NOT_ADMITTED",
    message: /challenge was answered already/,
  });
});

test("a certificate of the tier does not make anybody a member that passes others on", async (t) => {
  const tls = await createTlsTier();
  t.after(() => tls.remove());
  const tier = await startCoordinatorTier(t, { yaml: YAML, size: 1, tls });
  await tier.settled();
  const between = await manBetween(t, tls, tier.of("c1").raft);

  await assert.rejects(between.forward("c9"), {
    code: "PERMISSION_DENIED",
    message: /"c2" is no member of this tier/,
  });
});

async function manBetween(
  t: TestContext,
  tls: Awaited<ReturnType<typeof createTlsTier>>,
  target: string,
): Promise<{
  readonly address: string;
  readonly requests: readonly JoinRequest[];
  readonly replay: (request: JoinRequest) => Promise<unknown>;
  readonly forward: (id: string) => Promise<unknown>;
}> {
  const open = async (name: string) =>
    openTlsSource({
      config: await tls.issue("member", name),
      expected: { role: "member" },
      clock: systemClock,
      logger: silentLogger,
    });
  const [own, stolen] = await Promise.all([open("c1"), open("c2")]);
  const peers = new TierPeers(() => null, stolen);
  const requests: JoinRequest[] = [];
  const unused = async (): Promise<never> => assert.fail("nobody calls that");
  const service = bindService(
    TierService,
    {
      challenge: () => peers.at(target).challenge({}),
      join: async (request) => {
        requests.push(request);
        return peers.at(target).join(request);
      },
      introduce: unused,
      forwardCall: unused,
      report: async function* () {
        await unused();
      },
    },
    ["member"],
  );
  const server = await createGrpcServer({
    listen: { host: "127.0.0.1", port: 0 },
    logger: silentLogger,
    services: [service],
    tls: own,
  });
  t.after(async () => {
    peers.close();
    await server.close(0);
    own.close();
    stolen.close();
  });
  return {
    address: server.address,
    requests,
    replay: (request) => peers.at(target).join(request),
    forward: (id) =>
      peers.at(target).join({
        member: { id, raftAddress: "127.0.0.1:9", diskId: "d9" },
        isForwarded: true,
        forwardedBy: "c2",
      }),
  };
}

function command(t: TestContext, member: TierProcess, ...args: readonly string[]) {
  const run = runProgram("duck-coordinator", [...args, "-c", member.file]);
  t.after(() => run.kill());
  return run;
}

async function rowsOf(tier: CoordinatorTier): Promise<readonly Row[]> {
  const { out } = await tier.duckctl("coordinators", "list", "-o", "json");
  return JSON.parse(out || "[]") as Row[];
}

function rowOf(rows: readonly Row[], id: string): Row | undefined {
  return rows.find((row) => row.id === id);
}
