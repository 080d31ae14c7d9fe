import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, isAbsolute, resolve } from "node:path";
import { ClusterduckError, messageOf } from "../errors.js";
import { arrange, isObject } from "./arrange.js";
import { crossCheck } from "./cross-checks.js";
import { CONFIG_LIMITS } from "./defaults.js";
import type { Environment } from "./expand.js";
import type { FileConfig, ReplicatedConfig } from "./model.js";
import { normalise } from "./normalise.js";
import { ConfigError } from "./problem.js";
import type { PathSegment } from "./problem.js";
import { fileSchema, TOP_LEVEL_KEYS } from "./schema.js";
import { CLUSTER_KEYS } from "./schema/cluster.js";
import { YamlSource } from "./yaml-source.js";
import type { ProblemDetails } from "./yaml-source.js";
import { noteAllowed, reportIssues } from "./zod-problems.js";

export const emptyReplicatedConfig: ReplicatedConfig = { clusters: {}, balancers: {} };

export type ConfigSource =
  | { readonly path: string; readonly env?: Environment }
  | { readonly text: string; readonly fileName: string; readonly env?: Environment };

/**
 * Reads and checks a configuration. Relative paths count from the file's directory.
 * @throws ConfigError (CONFIG_INVALID) with every problem at once
 * @throws ClusterduckError CONFIG_UNREADABLE when the file is not there or cannot be read as text
 */
export function loadConfig(source: ConfigSource): FileConfig {
  const env = source.env ?? process.env;
  return "path" in source
    ? readFileConfig(source.path, env)
    : parseConfigText(source.text, source.fileName, env);
}

/** `loadConfig` of a file, for the daemons. */
export function readFileConfig(path: string, env: Environment = process.env): FileConfig {
  return parseConfigText(readConfigText(path), resolve(path), env);
}

/** The text of a configuration file: UTF-8, and not too large. Throws as `loadConfig` does. */
export function readConfigText(path: string): string {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw unreadable(path, "it is a directory", "Name the file inside it.");
    if (stat.size > CONFIG_LIMITS.fileBytes) throw tooLarge(path, stat.size);
    const bytes = readFileSync(path);
    if (bytes.length > CONFIG_LIMITS.fileBytes) throw tooLarge(path, bytes.length);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (thrown) {
    if (thrown instanceof ClusterduckError) throw thrown;
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw unreadable(
        path,
        "there is no such file",
        "Name another with -c FILE, or write one: `clusters:` is enough to begin with.",
        thrown,
      );
    }
    if (code === "EACCES")
      throw unreadable(path, "permission denied", "Run as a user that may read it.", thrown);
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") {
      throw unreadable(
        path,
        "it is not UTF-8 text",
        "Convert it, for example with `iconv -t UTF-8`.",
        thrown,
      );
    }
    throw unreadable(path, messageOf(thrown), undefined, thrown);
  }
}

/**
 * Checks the text of a configuration. `fileName` is for messages; when it is absolute, relative paths
 * count from its directory.
 * @throws ConfigError with every problem at once
 */
export function parseConfigText(text: string, fileName: string, env: Environment = process.env): FileConfig {
  if (text.length > CONFIG_LIMITS.fileBytes) throw tooLarge(fileName, text.length);
  const source = new YamlSource(text.startsWith("\ufeff") ? text.slice(1) : text, fileName, env);
  const config = source.data === undefined ? undefined : check(source, source.data ?? {}, fileName);
  if (source.problems.length === 0 && config !== undefined) return config;
  throw new ConfigError(
    fileName,
    [...source.problems].sort((left, right) => left.line - right.line || left.column - right.column),
  );
}

function check(
  source: YamlSource,
  data: NonNullable<YamlSource["data"]>,
  fileName: string,
): FileConfig | undefined {
  if (!isObject(data)) {
    source.report([], "expected a mapping with clusters, balancers, transports, coordinator or agent");
    return undefined;
  }
  // What could not even be read as a value stands as null by now; judging it again would only repeat that.
  const unread = new Set(source.problems.map((problem) => problem.path));
  const { data: arranged, pathInFile } = arrange(data);
  const report = (path: readonly PathSegment[], message: string, details?: ProblemDetails): void => {
    source.report(pathInFile(path), isStrayClusterKey(path) ? STRAY_CLUSTER_KEY : message, details, unread);
  };
  const parsed = fileSchema.safeParse(arranged, { error: noteAllowed });
  if (!parsed.success) reportIssues(parsed.error.issues, arranged, report);
  crossCheck(arranged, report);
  if (!parsed.success || source.problems.length > 0) return undefined;
  const baseDirectory = isAbsolute(fileName) ? dirname(fileName) : null;
  return normalise(parsed.data, { baseDirectory, hostName: hostname() }, report);
}

const STRAY_CLUSTER_KEY =
  "belongs inside a cluster: put it below clusters, and there below the cluster's name";

function isStrayClusterKey(path: readonly PathSegment[]): boolean {
  const [key] = path;
  return path.length === 1 && !TOP_LEVEL_KEYS.includes(String(key)) && CLUSTER_KEYS.includes(String(key));
}

function unreadable(path: string, why: string, hint?: string, cause?: unknown): ClusterduckError {
  return new ClusterduckError("CONFIG_UNREADABLE", `Cannot read configuration "${path}": ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    cause,
  });
}

function tooLarge(path: string, bytes: number): ClusterduckError {
  const limit = CONFIG_LIMITS.fileBytes / 1024 / 1024;
  return unreadable(path, `it has ${bytes} bytes, at most ${limit} MiB are read`, "Is it the right file?");
}
