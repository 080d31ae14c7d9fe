import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Bundles a program as ours are bundled for use: run through tsx it would also pay for the names that tsx
 * gives to every function. Returns the path of what `node` can run.
 */
export async function buildProgram(source: string): Promise<string> {
  const outfile = join(ROOT, "node_modules", ".cache", "clusterduck-bench", "program.mjs");
  await build({
    absWorkingDir: ROOT,
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
  return outfile;
}
