import assert from "node:assert/strict";
import { test } from "node:test";
import { VERSION } from "../../common/version.js";
import { encodeCommand } from "./codec.js";
import type { Command } from "./commands.js";
import { commonLevel, FEATURE_LEVEL } from "./features.js";
import { StateMachine } from "./machine.js";

const raise = (level: number): Command => ({ type: "raiseFeatureLevel", level, version: "1.2.0" });

test("the level rises when all present members know it, and never falls", () => {
  const { machine, propose } = tier();
  propose(member("c1", 1));
  propose(member("c2", undefined));
  assert.equal(commonLevel(machine.view.members), 0);
  assert.deepEqual(propose(raise(1)).result, {
    isAccepted: false,
    code: "CONFLICT",
    message: 'Cannot go on to feature level 1: "c2" would not know it',
  });

  propose({ type: "removeMember", memberId: "c2" });
  assert.equal(commonLevel(machine.view.members), 1);
  assert.equal(propose(raise(1)).result.isAccepted, true);
  assert.equal(propose(raise(0)).result.isAccepted, true);

  const expected = { level: 1, version: "1.2.0" };
  assert.deepEqual(machine.view.featureLevel, expected);
  assert.deepEqual(StateMachine.restore(machine.snapshot()).view.featureLevel, expected);
});

test("whoever knows less than the tier's level does not become a member, nor comes back as one, and is told why", () => {
  const { propose } = tier();
  propose(member("c1", 1));
  propose(raise(1));

  for (const id of ["c1", "c9"]) {
    const { result } = propose(member(id, undefined, "0.9.0"));
    assert.equal(!result.isAccepted && result.code, "VERSION_UNSUPPORTED");
    assert.match(
      result.isAccepted ? "" : result.message,
      new RegExp(`"${id}" is of version 0\\.9\\.0 \\(feature level 0\\).* level 1 with version 1\\.2\\.0`),
    );
  }
});

test("a program stops at a level that it does not know, and names both versions", () => {
  const words = (thrown: unknown): boolean =>
    thrown instanceof Error &&
    thrown.message.includes(`version ${VERSION} (feature level ${FEATURE_LEVEL})`) &&
    thrown.message.includes("feature level 2 with version 1.2.0");
  const { machine, propose } = tier();
  assert.throws(() => propose(raise(FEATURE_LEVEL + 1)), words);

  const [head = "", ...rest] = new TextDecoder().decode(machine.snapshot()).split("\n");
  const newer = { ...(JSON.parse(head) as object), featureLevel: { level: 2, version: "1.2.0" } };
  const snapshot = new TextEncoder().encode([JSON.stringify(newer), ...rest].join("\n"));
  assert.throws(() => StateMachine.restore(snapshot), words);
});

test("a snapshot from before there were levels is one of level 0", () => {
  const [head = "", ...rest] = new TextDecoder().decode(new StateMachine().snapshot()).split("\n");
  const { featureLevel: _none, ...older } = JSON.parse(head) as Record<string, unknown>;
  const snapshot = new TextEncoder().encode([JSON.stringify(older), ...rest].join("\n"));

  assert.deepEqual(StateMachine.restore(snapshot).view.featureLevel, { level: 0, version: "" });
});

function tier() {
  const machine = new StateMachine();
  const propose = (command: Command) => {
    const payload = encodeCommand({ atMs: 1_000_000, by: "test", command });
    return machine.apply({ index: machine.view.index + 1, term: 1, payload });
  };
  return { machine, propose };
}

function member(id: string, featureLevel: number | undefined, version = "1.2.0"): Command {
  const places = { raftAddress: `${id}:9910`, agentAddress: "", httpAddress: "", networkIdentity: "n" };
  const level = featureLevel === undefined ? {} : { featureLevel };
  return { type: "setMember", member: { id, ...places, version, diskId: id, ...level } };
}
