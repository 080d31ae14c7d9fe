import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { debugSelector } from "./debug-names.js";
import { ClusterduckError } from "./errors.js";
import { createLogger } from "./logger.js";
import type { LoggerOptions } from "./logger.js";

function record(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const logger = createLogger({
    program: "duck-test",
    debug: "",
    write: (line) => lines.push(line),
    ...options,
  });
  return { logger, lines, parsed: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test("a line is JSON with the level as a word, an ISO time, the program, the part and the event", () => {
  const { logger, parsed } = record();

  logger.child("health").child("verdict").info("node.state_changed", { node: "10.0.0.2:80", index: 7 });

  const [line] = parsed();
  assert.match(String(line?.["time"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(
    { ...line, time: "" },
    {
      level: "info",
      time: "",
      program: "duck-test",
      part: "health:verdict",
      event: "node.state_changed",
      node: "10.0.0.2:80",
      index: 7,
    },
  );
});

test("a field cannot overwrite what every line has, and no key stands twice", () => {
  const { logger, lines, parsed } = record();

  logger.child("a").child("b").warn("x.y", { level: "fatal", event: "z", part: "c" });

  assert.equal(parsed()[0]?.["level"], "warn");
  assert.equal(parsed()[0]?.["level_"], "fatal");
  assert.equal(parsed()[0]?.["event"], "x.y");
  assert.equal(lines[0]?.split('"part":').length, 2);
});

test("an expected error is logged by message and code, a bug with its stack", () => {
  const { logger, parsed } = record();

  logger.error("a.failed", {
    error: new ClusterduckError("DISK_FAILED", "Cannot sync", {
      cause: new Error("EIO"),
      hint: "replace it",
    }),
  });
  logger.error("b.failed", { error: new TypeError("undefined is not a duck") });

  assert.deepEqual(parsed()[0]?.["error"], {
    message: "Cannot sync",
    code: "DISK_FAILED",
    hint: "replace it",
    cause: "EIO",
  });
  assert.match(String((parsed()[1]?.["error"] as { stack: string }).stack), /logger\.test/);
});

test("DEBUG selects the debug lines of the parts it names", () => {
  const { logger, parsed } = record({ debug: "raft,health:*" });

  logger.debug("root");
  logger.child("raft").debug("raft");
  logger.child("raft").child("peer").debug("raft:peer");
  logger.child("health").debug("health");
  logger.child("health").child("vote").debug("health:vote");
  logger.child("api").debug("api");

  assert.deepEqual(
    parsed().map((line) => line["event"]),
    ["raft", "health", "health:vote"],
  );
  assert.equal(logger.child("raft").isDebugEnabled(), true);
  assert.equal(logger.child("api").isDebugEnabled(), false);
});

test("a DEBUG value of * selects everything, and exclusions win", () => {
  const everything = debugSelector("*");
  const allButRaft = debugSelector("-raft:*, *");

  assert.equal(everything(""), true);
  assert.equal(everything("raft:peer"), true);
  assert.equal(allButRaft("health"), true);
  assert.equal(allButRaft("raft"), false);
  assert.equal(allButRaft("raft:peer"), false);
  assert.equal(debugSelector("")("raft"), false);
  assert.equal(debugSelector("ra.t")("raft"), false);
});

test("a level above info silences info, yet DEBUG still opens its part", () => {
  const { logger, parsed } = record({ level: "warn", debug: "raft" });

  logger.info("quiet");
  logger.child("raft").info("loud");

  assert.deepEqual(
    parsed().map((line) => line["event"]),
    ["loud"],
  );
});

test("lines for people stay on one line whatever the fields hold", () => {
  const { logger, lines } = record({ isForPeople: true, hasColours: false });

  logger.child("health").warn("node.state_changed", { node: "[::1]:80", detail: 'a "b"\n\u001b[31mred' });

  assert.match(
    lines[0] ?? "",
    /^\d\d:\d\d:\d\d\.\d{3} warn {2}health: node\.state_changed node=\[::1\]:80 detail="a \\"b\\"\\n\\u001b\[31mred"\n$/,
  );
});

test("logging into a closed pipe does not end the program", () => {
  const script = `
    import { createLogger } from "./common/logger.ts";
    const logger = createLogger({ program: "x" });
    for (let i = 0; i < 2000; i++) logger.info("some.event", { i, padding: "x".repeat(200) });
    console.log("alive");
  `;

  const { stdout } = spawnSync(
    "sh",
    ["-c", `{ "$NODE" --import tsx --input-type=module -e "$SCRIPT" 2>&1 1>&3 | true; } 3>&1`],
    { env: { ...process.env, NODE: process.execPath, SCRIPT: script }, encoding: "utf8" },
  );

  assert.equal(stdout, "alive\n");
});
