import assert from "node:assert/strict";
import { test } from "node:test";
import type { Leadership, PeerStatus } from "../log/replicated-log.js";
import { describeMissing, describeNoLeader, healthOf, isHeldUp, quorumOf } from "./tier-health.js";

const NOW_MS = Date.UTC(2026, 0, 1, 12, 0, 0);
const peer = (id: string, silentMs: number | null): PeerStatus => ({
  id,
  role: "voter",
  address: `${id}:9910`,
  silentMs,
  matchIndex: null,
});
const nobody: Leadership = { leaderId: null, term: 7, isLeader: false };
const led = (by: string): Leadership => ({ leaderId: by, term: 7, isLeader: by === "c1" });

test("without a leader everybody speaks to everybody: who does not is missing, at most since that began", () => {
  const peers = [peer("c1", 0), peer("c2", 3_600_000), peer("c3", null)];

  const members = healthOf({ selfId: "c1", leadership: nobody, peers, sinceMs: 12_000 });

  assert.deepEqual(
    members.map(({ state, silentMs }) => [state, silentMs]),
    [
      ["answers", 0],
      ["missing", 12_000],
      ["missing", 12_000],
    ],
  );
  const { message, hint } = describeNoLeader(members, { term: 7, selfId: "c1", nowMs: NOW_MS });
  assert.equal(
    message,
    "No leader in term 7: c2 (c2:9910) has not answered since 11:59:48 UTC, c3 (c3:9910) has not answered since 11:59:48 UTC; 1 of 3 voting coordinators is there, 2 are needed",
  );
  assert.match(hint, /recover-quorum/);
});

test("when one was heard last is no matter of who leads since when; never is never", () => {
  const peers = [peer("c1", 0), peer("c2", 3_600_000), peer("c3", null)];
  const unheard = (leadership: Leadership) =>
    healthOf({ selfId: "c1", leadership, peers, sinceMs: 12_000 }).map(({ unheardMs }) => unheardMs);

  assert.deepEqual(unheard(led("c1")), [0, 3_600_000, null]);
  assert.deepEqual(unheard(nobody), [0, 3_600_000, null]);
  assert.deepEqual(unheard(led("c2")), [0, 3_600_000, null]);
});

test("a follower says nothing about other followers", () => {
  const peers = [peer("c1", 0), peer("c2", 100), peer("c3", 3_600_000)];

  const members = healthOf({ selfId: "c1", leadership: led("c2"), peers, sinceMs: 0 });

  assert.deepEqual(
    members.map(({ state }) => state),
    ["answers", "answers", "unknown"],
  );
});

test("the leader sees who is away, and how many are left", () => {
  const peers = [peer("c1", 0), peer("c2", 50), peer("c3", 60_000)];

  const members = healthOf({ selfId: "c1", leadership: led("c1"), peers, sinceMs: 600_000 });

  assert.deepEqual(quorumOf(members), { voters: 3, answering: 2, needed: 2 });
  assert.equal(members[2]?.state, "missing");
});

test("with enough of them there, no leader is a matter of moments", () => {
  const members = healthOf({
    selfId: "c1",
    leadership: nobody,
    peers: [peer("c1", 0), peer("c2", 10), peer("c3", null)],
    sinceMs: 5_000,
  });

  const { message } = describeNoLeader(members, { term: 7, selfId: "c1", nowMs: NOW_MS });

  assert.equal(message, "No leader in term 7: an election is under way, 2 of 3 voting coordinators answer");
});

test("who is refused by the others is not told to wait for an election that never comes", () => {
  const problem = { message: 'Coordinator "c1" was removed from this tier', hint: "Stop it" };
  const peers = [peer("c1", 0), { ...peer("c2", 40), problem }, { ...peer("c3", 60), problem }];
  const members = healthOf({ selfId: "c1", leadership: nobody, peers, sinceMs: 5_000 });

  assert.deepEqual(describeNoLeader(members, { term: 7, selfId: "c1", nowMs: NOW_MS }), {
    message: 'No leader in term 7: not with c2, c3: Coordinator "c1" was removed from this tier',
    hint: "Stop it",
  });
});

test("one that refuses a member does not keep a majority of the others from an election", () => {
  const problem = { message: "It is of another incarnation", hint: "Remove it" };
  const peers = [peer("c1", 0), peer("c2", 40), { ...peer("c3", 60), problem }];
  const members = healthOf({ selfId: "c1", leadership: nobody, peers, sinceMs: 5_000 });

  const { message } = describeNoLeader(members, { term: 7, selfId: "c1", nowMs: NOW_MS });

  assert.match(message, /an election is under way/);
});

test("whose own log no longer names it is not told to begin again without those that it does not hear from", () => {
  const peers = [peer("c1", 3_600_000), peer("c2", 3_600_000)];
  const members = healthOf({ selfId: "c3", leadership: nobody, peers, sinceMs: 12_000 });

  const { message, hint } = describeNoLeader(members, { term: 7, selfId: "c3", nowMs: NOW_MS });

  assert.match(message, /"c3" is not among the members that its log names \(c1, c2\): it was removed/);
  assert.doesNotMatch(message + hint, /recover-quorum/);
});

test("who reports that its disk is full is there, counts as silent, and says why", () => {
  const peers = [peer("c1", 0), peer("c2", 50), peer("c3", 60_000)];
  const trouble = { kind: "disk-full", sinceMs: NOW_MS, message: "Its disk is full", hint: "Free space" };
  const troubleOf = (id: string) => (id === "c3" ? trouble : null);

  const members = healthOf({ selfId: "c1", leadership: led("c1"), peers, sinceMs: 600_000, troubleOf });

  assert.deepEqual(quorumOf(members), { voters: 3, answering: 2, needed: 2 });
  assert.deepEqual(members.map(isHeldUp), [false, false, true]);
  assert.equal(
    describeMissing(members, NOW_MS),
    "c3 (c3:9910) is there, but does not take part since 11:59:00 UTC (disk-full)",
  );
});

test("without a leader, one whose own disk is full says that first, and what it knows of the others", () => {
  const peers = [peer("c1", 0), peer("c2", 50), peer("c3", 60_000)];
  const trouble = { kind: "disk-full", sinceMs: NOW_MS, message: "Its disk is full", hint: "Free space" };
  const troubleOf = (id: string) => (id === "c1" ? trouble : null);

  const members = healthOf({ selfId: "c1", leadership: nobody, peers, sinceMs: 60_000, troubleOf });
  const { message, hint } = describeNoLeader(members, { term: 7, selfId: "c1", nowMs: NOW_MS });

  assert.equal(
    message,
    'No leader in term 7: Coordinator "c1" itself takes no part. Its disk is full; c3 (c3:9910) has not answered since 11:59:00 UTC',
  );
  assert.match(hint, /^Free space; of the others, one that runs/);
});
