import assert from "node:assert/strict";
import { test } from "node:test";
import { websocketOptions } from "../../common/config/checks/websocket.js";
import { advanceFlow, beginFlow, compileFlow, describeWait } from "./flow.js";
import type { FlowEvent } from "./flow.js";

/** Plays events and gives what the flow did and how it ended. */
function play(options: unknown, events: readonly FlowEvent[]) {
  const flow = compileFlow(websocketOptions.parse(options));
  let turn = beginFlow(flow);
  const effects = [...turn.effects];
  for (const event of events) {
    if (turn.result !== null) break;
    turn = advanceFlow(flow, turn.state, event);
    effects.push(...turn.effects);
  }
  return { effects, result: turn.result, wait: describeWait(flow, turn.state) };
}
const message = (text: string): FlowEvent => ({ kind: "message", text });

test("sends go out together up to the first step that waits", () => {
  const { effects, result } = play(
    { flow: [{ send: "a" }, { send_json: { b: 1 } }, { expect: "c" }, { send: "d" }] },
    [],
  );

  assert.deepEqual(effects, [
    { kind: "send", text: "a" },
    { kind: "send", text: '{"b":1}' },
  ]);
  assert.equal(result, null);
});

test("a message that came early is judged when its step is reached", () => {
  const { result } = play({ flow: [{ ping: true }, { expect: "early" }] }, [
    message("early"),
    { kind: "pong" },
  ]);

  assert.deepEqual(result, { outcome: "passed" });
});

test("a pong that nobody waits for is ignored, and a ping is sent once", () => {
  const { effects, result } = play({ flow: [{ expect: "a" }, { ping: true }, { expect: "b" }] }, [
    { kind: "pong" },
    message("a"),
    message("b"),
    { kind: "pong" },
  ]);

  assert.deepEqual(effects, [{ kind: "ping" }]);
  assert.deepEqual(result, { outcome: "passed" });
});

test("without skip_forward the next message decides", () => {
  const { result } = play({ flow: [{ expect: { equals: "a" } }] }, [message("b"), message("a")]);

  assert.equal(result?.outcome, "failed");
});

test("with skip_forward messages are passed over until one fits, and the wait remembers the last", () => {
  const options = { flow: [{ expect: { regex: "^a", skip_forward: true } }] };

  assert.equal(play(options, [message("b"), message("c"), message("ab")]).result?.outcome, "passed");
  assert.equal(
    play(options, [message("b"), message("c")]).wait,
    'no fitting message for step 1 of 1, 2 skipped: message is "c", expected it to match "^a"',
  );
});

test("messages are not hoarded without end while a ping is awaited", () => {
  const { result } = play({ flow: [{ ping: true }], max_payload: 10 }, [
    message("12345"),
    message("1234567"),
  ]);

  assert.equal(result?.outcome === "failed" && result.reason, "tooLarge");
});
