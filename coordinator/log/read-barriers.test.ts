import assert from "node:assert/strict";
import { test } from "node:test";
import type { RaftCore } from "../raft/core.js";
import type { RequestId } from "../raft/message.js";
import { ReadBarriers } from "./read-barriers.js";

const MANY = 100_000;

test("as many reads as may be wait share one question, and another when its leader is gone", async () => {
  const { reads, questions, core } = begin();
  const answers = Array.from({ length: MANY }, () => reads.add(0));

  reads.hand(core);
  reads.onOutcome({ request: questions[0]!, kind: "failed" });
  reads.release();
  reads.hand(core);
  reads.onOutcome({ request: questions[1]!, kind: "confirmed", index: 7 });

  assert.equal(questions.length, 2);
  assert.deepEqual(new Set(await Promise.all(answers)), new Set([7]));
});

test("a read beyond those that may wait is refused at once; with their answer there is room again", async () => {
  const { reads, questions, core } = begin();
  const waiting = Array.from({ length: MANY }, () => reads.add(0));

  await assert.rejects(reads.add(0), { code: "OVERLOADED", message: /100000 reads wait already/ });
  reads.hand(core);
  reads.onOutcome({ request: questions[0]!, kind: "confirmed", index: 7 });
  await Promise.all(waiting);
  const next = reads.add(0);
  reads.hand(core);
  reads.onOutcome({ request: questions[1]!, kind: "confirmed", index: 8 });

  assert.equal(await next, 8);
});

test("reads that waited too long are told, asked or not, and make room", async () => {
  const { reads, core } = begin();
  const asked = reads.add(0);
  reads.hand(core);
  const queued = reads.add(10);
  const ends = Promise.allSettled([asked, queued, ...Array.from({ length: MANY - 2 }, () => reads.add(10))]);

  reads.tick(1_010);

  const codes = (await ends).map((end) => end.status === "rejected" && (end.reason as { code: string }).code);
  assert.deepEqual(new Set(codes), new Set(["UNREACHABLE"]));
  const next = reads.add(1_010);
  reads.rejectAll(new Error("the end") as never);
  await assert.rejects(next, /the end/);
});

function begin() {
  const reads = new ReadBarriers("c1/1", 1_000);
  const questions: RequestId[] = [];
  const core = { leaderId: "c2", readIndex: (request: RequestId) => questions.push(request) };
  return { reads, questions, core: core as unknown as RaftCore };
}
