/** Every command of duckctl with words that make no sense: a clear error with the exit code of the docs, never a stack. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { buildProgram } from "../../cli/command-line.js";
import { atEnd, temporaryFolder } from "../support/at-end.js";
import { runDuckctl } from "../support/duckctl.js";
import { startTestTier } from "../support/test-tier.js";

const JUNK = [
  "",
  "../..",
  "/",
  "web/",
  "-1",
  "NaN",
  "web/nowhere",
  "x".repeat(3_000),
  "☃",
  "a b",
  "__proto__",
];
const JUNK_VALUES = ["", "junk!", "-5", "1e99", "99999999999999999999", "NaN", "☃"];
/** Any other name may become a folder. */
const JUNK_FOLDERS = ["", "/dev/null/nothing"];
/** They change files of whoever calls them, and what is junk to a coordinator may be a name to them. */
const LOCAL = new Set(["contexts", "tls", "gen-tls"]);
/** Usage, not found, conflict; what the docs say for a wrong call. */
const EXPECTED = new Set([2, 3, 6]);
/** Of those that read and write files: it cannot be read or written. */
const FAILED = 1;

type Leaf = { readonly path: readonly string[]; readonly command: Command };

function leavesOf(command: Command, path: readonly string[] = []): readonly Leaf[] {
  if (command.commands.length === 0) return [{ path, command }];
  return command.commands
    .filter((child) => !["help", "__complete"].includes(child.name()))
    .flatMap((child) => leavesOf(child, [...path, child.name()]));
}

test("words that make no sense are answered with an error that says so, by every command", async (t) => {
  const tier = await startTestTier({
    yaml: "clusters: {web: {type: tcp, nodes: ['127.0.0.1:9'], health_checks: [{type: tcp}]}}",
  });
  atEnd(t, () => tier.stop());
  const home = await temporaryFolder(t);
  const env = { DUCK_SERVER: tier.coordinator.grpcAddress, EDITOR: "false", HOME: home };
  const silent = { out: () => undefined, err: () => undefined, env };
  const leaves = leavesOf(buildProgram({ ...SILENT_IO, ...silent }, () => undefined));
  let asked = 0;
  const ask = async (words: readonly string[], mayWork: boolean): Promise<void> => {
    const { code, err, out } = await runDuckctl(words, { env });
    asked += 1;
    const what = `${words.map((word) => JSON.stringify(word.slice(0, 40))).join(" ")}: ${code} ${err}${out}`;
    assert.doesNotMatch(err, /Unexpected|\n +at /, what);
    if (mayWork && code === 0) return;
    assert.ok(EXPECTED.has(code) || (code === FAILED && LOCAL.has(words[0] ?? "")), what);
    assert.match(err, /^(.*\n)*error: /, what);
  };

  for (const { path, command } of leaves) {
    const places = command.registeredArguments;
    const isLocal = LOCAL.has(path[0] ?? "");
    const hasFolder = command.options.some(({ long }) => long === "--dir");
    const folder = hasFolder ? [`--dir=${join(home, "tls")}`] : [];
    await ask([...path, "--nonsense"], false);
    if (!places.some(({ variadic }) => variadic)) {
      await ask([...path, ...Array<string>(places.length + 1).fill("x")], false);
    }
    if (places.some(({ required }) => required)) await ask([...path], false);
    // It would write such a file.
    const words = path[0] === "snapshot" ? JUNK.filter((word) => word === "" || word.includes("/")) : JUNK;
    if (places.length > 0) {
      for (const word of words)
        await ask(
          [...path, ...places.map(() => word), ...folder],
          isLocal || path[0] === "ls" || word === "/",
        );
    }
    const given = [
      ...places
        .filter(({ required }) => required)
        .map((place) => (/addr/.test(place.name()) ? "127.0.0.1:1" : "api")),
      ...folder,
    ];
    for (const { long, required, optional, flags } of command.options) {
      if (long === undefined || long === null || long === "--follow") continue;
      if (!required && !optional) await ask([...path, ...given, `${long}=x`], false);
      else
        for (const value of flags.includes("<directory>") ? JUNK_FOLDERS : JUNK_VALUES)
          await ask([...path, ...given, `${long}=${value}`], isLocal || path.length === 1);
    }
  }

  assert.ok(leaves.length > 25 && asked > 300, `${leaves.length} commands, ${asked} calls`);
});

const SILENT_IO = {
  isTerminal: false,
  hasColours: false,
  width: 80,
  ask: null,
  readInput: () => Promise.resolve(""),
  signal: new AbortController().signal,
  nowMs: () => 0,
};
