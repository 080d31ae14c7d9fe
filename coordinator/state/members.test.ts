import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCommand } from "./codec.js";
import type { Command, CommandResult } from "./commands.js";
import { StateMachine } from "./machine.js";
import { withoutJoinSecret } from "./snapshot.js";

const DAY_MS = 86_400_000;

test("a coordinator that lost its disk may not come back under its old id, and is told the way", () => {
  const tier = startTier();
  tier.propose(joining("c2", "disk-1"));

  const result = tier.propose(joining("c2", "disk-2"));

  assert.match(refusalOf(result), /lost its disk .*coordinators remove c2.*another id/);
  assert.equal(tier.machine.view.members.get("c2")?.diskId, "disk-1");
});

test("the leader itself may have another disk: it has the log, from a snapshot that was restored", () => {
  const tier = startTier();
  tier.propose(joining("c2", "disk-1"));

  assert.deepEqual(tier.propose({ ...joining("c2", "disk-2"), isLeader: true }), { isAccepted: true });
  assert.equal(tier.machine.view.members.get("c2")?.diskId, "disk-2");
});

test("the id of a removed coordinator is never used again", () => {
  const tier = startTier();
  tier.propose(joining("c2", "disk-1"));
  tier.propose({ type: "removeMember", memberId: "c2" });

  assert.match(refusalOf(tier.propose(joining("c2", "disk-1"))), /was removed at .*no id is used twice/);
  assert.deepEqual(tier.propose({ type: "removeMember", memberId: "c2" }), { isAccepted: true });
  assert.match(refusalOf(tier.propose({ type: "removeMember", memberId: "c9" })), /no coordinator "c9"/);
});

test("a member tells something new without being added a second time", () => {
  const tier = startTier();
  tier.propose(joining("c2", "disk-1"));

  tier.propose({ ...joining("c2", "disk-1"), member: { ...memberOf("c2", "disk-1"), version: "9.9.9" } });

  assert.equal(tier.machine.view.members.get("c2")?.version, "9.9.9");
  assert.deepEqual(
    tier.machine.view.events.map(({ type }) => type),
    ["coordinator.added"],
  );
});

test("the first join secret stays, and members, secret and tokens survive a snapshot", () => {
  const tier = startTier();
  tier.propose({ type: "setJoinSecret", secret: "one" });
  tier.propose({ type: "setJoinSecret", secret: "two" });
  tier.propose(tokenFor("c2", "t1"));
  tier.propose({ ...joining("c2", "d2"), token: { id: "t1" } });

  const restored = StateMachine.restore(tier.machine.snapshot()).view;

  assert.equal(restored.joinSecret, "one");
  assert.deepEqual(restored.members, tier.machine.view.members);
  assert.deepEqual(restored.joinTokens, tier.machine.view.joinTokens);
  assert.equal(restored.joinTokens.get("t1")?.end?.kind, "used");
});

test("a snapshot that leaves the tier holds all but the join secret, and a tier that begins from it makes its own", () => {
  const tier = startTier();
  const untouched = tier.machine.snapshot();
  tier.propose({ type: "setJoinSecret", secret: "hush" });
  tier.propose(tokenFor("c2", "t1"));
  tier.propose({ ...joining("c2", "d2"), token: { id: "t1" } });
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const whole = tier.machine.snapshot();

  const exported = withoutJoinSecret(whole);

  assert.match(text(whole), /hush/);
  assert.equal(text(exported), text(whole).replace('"hush"', '""'));
  assert.deepEqual(withoutJoinSecret(untouched), untouched);
  const restored = StateMachine.restore(exported);
  assert.deepEqual(restored.view, { ...tier.machine.view, joinSecret: "" });
});

test("a join token works once, in its time, and again for the one that has used it", () => {
  const tier = startTier();
  tier.propose(tokenFor("c2", "t1"));
  const token = { id: "t1" };

  assert.deepEqual(tier.propose({ ...joining("c2", "d2"), token }), { isAccepted: true });
  assert.deepEqual(tier.propose({ ...joining("c2", "d2"), token }), { isAccepted: true });
  assert.match(
    refusalOf(tier.propose({ ...joining("c2", "d3"), token })),
    /was used already, by coordinator "c2" at 1970-01-02.*works once: make another one/,
  );
  assert.match(refusalOf(tier.propose({ ...joining("c3", "d3"), token })), /is for coordinator "c2"/);
  tier.propose(tokenFor("c3", "t2"));
  tier.atMs = 3 * DAY_MS;
  assert.match(
    refusalOf(tier.propose({ ...joining("c3", "d3"), token: { id: "t2" } })),
    /expired at 1970-01-03/,
  );
});

test("nobody joins with a token that was revoked, or that this tier never made", () => {
  const tier = startTier();
  tier.propose(tokenFor("c2", "t1"));

  assert.deepEqual(tier.propose({ type: "revokeJoinToken", tokenId: "t1" }), { isAccepted: true });
  assert.deepEqual(tier.propose({ type: "revokeJoinToken", tokenId: "t1" }), { isAccepted: true });

  const joinWith = (id: string): string => refusalOf(tier.propose({ ...joining("c2", "d2"), token: { id } }));
  assert.match(joinWith("t1"), /was revoked at 1970-01-02/);
  assert.match(joinWith("t9"), /does not know the join token/);
  assert.match(refusalOf(tier.propose({ type: "revokeJoinToken", tokenId: "t9" })), /no join token "t9"/);
  assert.equal(tier.machine.view.members.size, 0);
});

test("a token that was used is not revoked: its coordinator is a member", () => {
  const tier = startTier();
  tier.propose(tokenFor("c2", "t1"));
  tier.propose({ ...joining("c2", "d2"), token: { id: "t1" } });

  const refusal = refusalOf(tier.propose({ type: "revokeJoinToken", tokenId: "t1" }));

  assert.match(refusal, /was used already, by coordinator "c2".*coordinators remove c2/);
});

test("tokens are forgotten some days after they expired, and are not many", () => {
  const tier = startTier();
  tier.propose(tokenFor("c2", "old"));
  tier.atMs = 10 * DAY_MS;
  tier.propose(tokenFor("c3", "new", 11 * DAY_MS));

  assert.deepEqual([...tier.machine.view.joinTokens.keys()], ["new"]);
  for (let at = 1; at < 1_000; at++) tier.propose(tokenFor(`c${at}`, `t${at}`, 11 * DAY_MS));
  assert.match(refusalOf(tier.propose(tokenFor("c5", "more", 11 * DAY_MS))), /1000 join tokens already/);
});

function tokenFor(
  coordinatorId: string,
  id: string,
  expiresAtMs = 2 * DAY_MS,
): Extract<Command, { type: "addJoinToken" }> {
  return { type: "addJoinToken", token: { id, coordinatorId, expiresAtMs } };
}

function startTier(): {
  readonly machine: StateMachine;
  atMs: number;
  readonly propose: (command: Command) => CommandResult;
} {
  const machine = new StateMachine();
  let index = 0;
  const tier = {
    machine,
    atMs: DAY_MS,
    propose: (command: Command): CommandResult => {
      index++;
      const payload = encodeCommand({ atMs: tier.atMs, by: "leader", command });
      return machine.apply({ index, term: 1, payload }).result;
    },
  };
  return tier;
}

function memberOf(id: string, diskId: string): Extract<Command, { type: "setMember" }>["member"] {
  const raftAddress = `10.0.0.${id.slice(1)}:9910`;
  return {
    id,
    diskId,
    raftAddress,
    agentAddress: "",
    httpAddress: "",
    version: "1.0.0",
    networkIdentity: "here",
  };
}

function joining(id: string, diskId: string): Extract<Command, { type: "setMember" }> {
  return { type: "setMember", member: memberOf(id, diskId) };
}

function refusalOf(result: CommandResult): string {
  return result.isAccepted ? "accepted" : result.message;
}
