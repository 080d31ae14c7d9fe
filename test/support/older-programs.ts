/** The programs as if they were of an older version: built from these sources with another version and feature level. */
import { cp, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { Plugin } from "esbuild";

import { buildPrograms } from "../../scripts/build.mjs";
import { atEnd } from "./at-end.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Resolves to a folder like the package's own: `bin/duck-coordinator.js` and so on. */
export async function olderPrograms(
  context: TestContext,
  { version, featureLevel }: { readonly version: string; readonly featureLevel: number },
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "duck-older-"));
  atEnd(context, () => rm(folder, { recursive: true, force: true, maxRetries: 10 }));
  const plugin: Plugin = {
    name: "older",
    setup: (build) => {
      build.onLoad({ filter: /coordinator\/state\/features\.ts$/ }, ({ path }) =>
        replaced(path, /(export const FEATURE_LEVEL: number = )\d+;/, `$1${featureLevel};`),
      );
      build.onLoad({ filter: /common\/version\.ts$/ }, ({ path }) =>
        replaced(path, /(export const VERSION: string = )[^;]+;/, `$1${JSON.stringify(version)};`),
      );
    },
  };
  await buildPrograms({ outdir: join(folder, "dist"), plugins: [plugin] });
  await cp(join(ROOT, "bin"), join(folder, "bin"), { recursive: true });
  await cp(join(ROOT, "package.json"), join(folder, "package.json"));
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
}

async function replaced(
  path: string,
  pattern: RegExp,
  replacement: string,
): Promise<{ contents: string; loader: "ts" }> {
  const source = await readFile(path, "utf8");
  if (!pattern.test(source)) throw new Error(`${path} has nothing like ${String(pattern)}`);
  return { contents: source.replace(pattern, replacement), loader: "ts" };
}
