import type { Plugin } from "esbuild";

export function buildPrograms(options?: {
  readonly outdir?: string;
  readonly plugins?: readonly Plugin[];
}): Promise<void>;
