import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ClusterduckError } from "../common/errors.js";
import { askQuestion } from "./ask-question.js";

test("servers that stand still share the time of one question", async () => {
  const given: number[] = [];
  let place = 0;
  const answer = askQuestion({
    turns: { next: () => void place++, place: () => place, goTo: (to) => void (place = to) },
    servers: 3,
    ask: async (call) => {
      const { timeoutMs = Infinity } = call ?? {};
      given.push(timeoutMs);
      await delay(timeoutMs);
      throw new ClusterduckError("TIMED_OUT", "No answer");
    },
    options: { timeoutMs: 100 },
  });

  await assert.rejects(answer, { code: "TIMED_OUT" });
  assert.equal(given.length, 4);
  assert.ok(given.reduce((sum, each) => sum + each) < 150, `given ${given.join(", ")} ms`);
});
