import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

import type { Block } from "./markdown.js";
import { mismatch } from "./output.js";
import { stepsOf } from "./steps.js";
import type { Step } from "./steps.js";
import { eventually } from "./terminal.js";
import type { RunningCommand } from "./terminal.js";
import { Workbench } from "./workbench.js";

type Run = Extract<Step, { readonly kind: "run" }>;

const STEP_TIMEOUT_MS = 60_000;
/** A page shows a host that is not overloaded; on one that is, observers abstain, and time does not count. */
const OVERLOADED_PERCENT = 50;
const LONGEST_STEP_MS = 300_000;
const ASK_AGAIN_MS = 300;

/** The example of `npm start` is ready when it says how to end it. */
const EXAMPLE: Run = {
  kind: "run",
  command: "npm start",
  exitCode: 0,
  output: ["...", "Ctrl-C ends all of it.", "..."],
  isInFirstTerminal: true,
  lineNumber: 0,
};

const SKIPPED = /^npm (test|run )/;
const STARTS_COORDINATOR =
  /^npm start\b|duck-coordinator( --dev| -d| -c)|duck-coordinator (run|status|validate)/;
/** Certificates and contexts are files: nobody is asked for them. */
const ASKS_COORDINATOR = /\bduckctl (?!tls |contexts )|:8484\b/;
/** Commands that only look: what they show may need a moment to become true. */
const LOOKS =
  /^(npx )?(duckctl|duck-coordinator (status|log)|duck-agent (status|log)|curl|cat|grep|head|tail|ls)\b/;
const CHANGES =
  /^(npx )?duck\S* .*\b(add|remove|rm|enable|disable|drain|undrain|maintenance|apply|edit|save|run|insert-node|delete-node)\b/;

/**
 * Does what a page asks for, in order, in a clone of its own. A page that asks a coordinator before it starts one
 * counts on the example of `npm start`.
 */
export async function followPage(t: TestContext, blocks: readonly Block[], page: string): Promise<void> {
  const bench = await Workbench.open();
  t.after(() => bench.close());
  const steps = blocks.flatMap((block) => stepsOf(block));
  const commands = steps.flatMap((step) => (step.kind === "run" ? [step.command] : []));
  const firstWord =
    commands.find((text) => ASKS_COORDINATOR.test(text) || STARTS_COORDINATOR.test(text)) ?? "";
  const needsExample = ASKS_COORDINATOR.test(firstWord) && !STARTS_COORDINATOR.test(firstWord);
  let foreground: RunningCommand | null = null;
  if (needsExample) foreground = await start(bench, EXAMPLE, page);
  for (const step of steps) {
    if (step.kind === "write") bench.write(step.path, step.text);
    else if (step.kind === "interrupt") {
      const running: RunningCommand | null = foreground;
      assert.ok(running !== null, `${page}:${step.lineNumber}: nothing runs in the first terminal`);
      bench.first.interrupt();
      const describe = (): string => `${page}:${step.lineNumber}: it did not end\n${running.output()}`;
      await eventually(running.finished, describe, STEP_TIMEOUT_MS);
      foreground = null;
    } else if (!SKIPPED.test(step.command)) {
      if (step.isInFirstTerminal) foreground = await start(bench, step, page);
      else await run(bench, step, page);
    }
  }
}

/** Waits until a command has printed what the page shows, or has ended well. */
async function start(bench: Workbench, step: Run, page: string): Promise<RunningCommand> {
  const isExample = step.command.trim() === EXAMPLE.command;
  const expected = isExample ? EXAMPLE.output : step.output;
  const running = bench.first.type(bench.localise(step.command));
  const describe = (): string =>
    failure(step, page, mismatch(expected, bench.generalise(running.output())) ?? "");
  const isThere = (): true | null => {
    const ended = running.finished();
    if (ended !== null) {
      assert.equal(ended.exitCode, step.exitCode, failure(step, page, ended.output));
      return true;
    }
    return expected.length > 0 && mismatch([...expected, "..."], bench.generalise(running.output())) === null
      ? true
      : null;
  };
  await eventually(isThere, describe, STEP_TIMEOUT_MS);
  return running;
}

async function run(bench: Workbench, step: Run, page: string): Promise<void> {
  const startedAtMs = performance.now();
  let patienceMs = STEP_TIMEOUT_MS;
  for (;;) {
    const turnAtMs = performance.now();
    const running = bench.second.type(bench.localise(step.command));
    const { exitCode, output } = await eventually(
      running.finished,
      () => failure(step, page, `it did not end\n${running.output()}`),
      STEP_TIMEOUT_MS,
    );
    const problem =
      exitCode !== step.exitCode
        ? `exit code ${exitCode}, expected ${step.exitCode}\n${output}`
        : step.output.length === 0
          ? null
          : mismatch(step.output, bench.generalise(output));
    if (problem === null) return;
    const isLook = LOOKS.test(step.command) && !CHANGES.test(step.command);
    const isOver = patienceMs <= 0 || turnAtMs - startedAtMs > LONGEST_STEP_MS;
    if (!isLook || isOver) assert.fail(failure(step, page, problem));
    await delay(ASK_AGAIN_MS);
    if (!isOverloaded()) patienceMs -= performance.now() - turnAtMs;
  }
}

/** By the kernel's own measure: the share of the last ten seconds in which somebody waited for a processor. */
function isOverloaded(): boolean {
  try {
    const share = /^some avg10=([\d.]+)/.exec(readFileSync("/proc/pressure/cpu", "utf8"))?.[1];
    return Number(share ?? 0) > OVERLOADED_PERCENT;
  } catch {
    return false;
  }
}

function failure(step: Run, page: string, problem: string): string {
  return `${page}:${step.lineNumber}: $ ${step.command}\n${problem}`;
}
