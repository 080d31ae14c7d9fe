import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { systemClock } from "../clock.js";
import { followFile } from "./follow-file.js";

function place(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "duck-follow-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "x.log");
}

async function lastLines(path: string, lines: number): Promise<string> {
  const signal = new AbortController().signal;
  const chunks: Buffer[] = [];
  for await (const chunk of followFile({ path, lines, isFollowing: false, signal, clock: systemClock }))
    chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Follows in the background; `until` waits for text, which is then forgotten. */
function follow(context: TestContext, path: string, lines = 10) {
  const controller = new AbortController();
  let text = "";
  let look = () => {};
  const { signal } = controller;
  const ended = (async () => {
    for await (const chunk of followFile({ path, lines, isFollowing: true, signal, clock: systemClock })) {
      text += chunk.toString();
      look();
    }
  })();
  context.after(async () => {
    controller.abort();
    await ended;
  });
  const until = (wanted: string) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Waited for ${wanted}, got ${text}`)), 5_000);
      look = () => {
        if (!text.includes(wanted)) return;
        clearTimeout(timer);
        resolve();
      };
      look();
    });
  return { until, text: () => text };
}

test("the last lines are given, whatever the file's size and end", async (context) => {
  const path = place(context);

  writeFileSync(path, "a\nb\nc\n");
  assert.equal(await lastLines(path, 2), "b\nc\n");
  assert.equal(await lastLines(path, 10), "a\nb\nc\n");
  assert.equal(await lastLines(path, 0), "");
  writeFileSync(path, "a\nb");
  assert.equal(await lastLines(path, 1), "b");
  writeFileSync(path, "");
  assert.equal(await lastLines(path, 3), "");
  const line = `${"x".repeat(999)}\n`;
  writeFileSync(path, line.repeat(300));
  assert.equal((await lastLines(path, 150)).length, 150_000);
});

test("a missing file is an error, unless it is waited for", async (context) => {
  const path = place(context);
  await assert.rejects(lastLines(path, 1), { code: "NOT_FOUND" });

  const { until } = follow(context, path);
  writeFileSync(path, "born\n");

  await until("born\n");
});

test("what is appended follows, through truncation and through rotation, and nothing twice", async (context) => {
  const path = place(context);
  writeFileSync(path, "one\n");
  const { until, text } = follow(context, path);
  await until("one\n");

  appendFileSync(path, "two\n");
  await until("two\n");
  truncateSync(path, 0);
  // A truncation shows by the smaller size: the file must not have grown past it at the next look.
  appendFileSync(path, "three\n");
  await until("three\n");
  appendFileSync(path, "four\n");
  renameSync(path, `${path}.1`);
  writeFileSync(path, "five\n");
  await until("five\n");

  assert.equal(text(), "one\ntwo\nthree\nfour\nfive\n");
});
