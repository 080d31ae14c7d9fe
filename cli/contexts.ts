import { mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { parse, stringify } from "yaml";
import { z } from "zod";

import { ClusterduckError, messageOf } from "../common/errors.js";
import type { CliIo } from "./io.js";

/** Where a coordinator is and what to show it, under a name. Paths are absolute. */
export type Context = {
  readonly server?: string | undefined;
  readonly cacert?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
};

export type Contexts = {
  /** The one that counts when nobody names one. */
  readonly current?: string | undefined;
  readonly contexts: Readonly<Record<string, Context>>;
};

const text = z.string().min(1).optional();
const schema = z.strictObject({
  current: text,
  contexts: z
    .record(z.string(), z.strictObject({ server: text, cacert: text, cert: text, key: text }))
    .default({}),
});

/** `DUCK_CONTEXTS`, or `clusterduck/contexts.yaml` where a user's configuration lies (XDG Base Directories). */
export function contextsFile(env: CliIo["env"]): string {
  const named = env["DUCK_CONTEXTS"] ?? "";
  if (named !== "") return named;
  const base = env["XDG_CONFIG_HOME"] ?? "";
  return join(base === "" ? join(env["HOME"] ?? homedir(), ".config") : base, "clusterduck", "contexts.yaml");
}

/** @throws ClusterduckError CONFIG_INVALID, CONFIG_UNREADABLE. Without a file there are no contexts. */
export function readContexts(env: CliIo["env"]): Contexts {
  const file = contextsFile(env);
  let written: string;
  try {
    written = readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return { contexts: {} };
    throw new ClusterduckError(
      "CONFIG_UNREADABLE",
      `Cannot read contexts from ${file}: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
  const found = schema.safeParse(parseYaml(written, file));
  if (!found.success) {
    const [issue] = found.error.issues;
    const place = issue === undefined || issue.path.length === 0 ? "the file" : issue.path.join(".");
    throw invalid(file, `${place}: ${issue?.message ?? "unknown form"}`);
  }
  const { current, contexts } = found.data;
  if (current !== undefined && !Object.hasOwn(contexts, current))
    throw invalid(file, `current: there is no context "${current}"`);
  const absolute = (path: string | undefined) =>
    path === undefined ? undefined : resolve(dirname(file), path);
  return {
    current,
    contexts: Object.fromEntries(
      Object.entries(contexts).map(([name, { server, cacert, cert, key }]) => [
        name,
        { server, cacert: absolute(cacert), cert: absolute(cert), key: absolute(key) },
      ]),
    ),
  };
}

/** @throws ClusterduckError COMMAND_FAILED */
export async function writeContexts(env: CliIo["env"], contexts: Contexts): Promise<string> {
  const file = contextsFile(env);
  try {
    mkdirSync(dirname(file), { recursive: true });
    await writeFileAtomic(file, stringify(contexts), { mode: 0o600 });
  } catch (cause) {
    throw new ClusterduckError("COMMAND_FAILED", `Cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
  return file;
}

/** @throws ClusterduckError NOT_FOUND */
export function contextNamed(contexts: Contexts, name: string): Context {
  const found = Object.hasOwn(contexts.contexts, name) ? contexts.contexts[name] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(contexts.contexts).map((each) => JSON.stringify(each));
  throw new ClusterduckError(
    "NOT_FOUND",
    `No context ${JSON.stringify(name)}: there ${names.length === 0 ? "are none" : `are ${names.join(", ")}`}`,
    { hint: `duckctl contexts set ${name} --server HOST:PORT` },
  );
}

function parseYaml(written: string, file: string): unknown {
  try {
    return parse(written) ?? {};
  } catch (thrown) {
    throw invalid(file, messageOf(thrown));
  }
}

function invalid(file: string, why: string): ClusterduckError {
  return new ClusterduckError("CONFIG_INVALID", `Cannot use contexts of ${file}: ${why}`, {
    hint: "duckctl contexts set NAME --server HOST:PORT, after the file is mended or removed",
  });
}
