import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { startProgram } from "./program.js";
import type { Program } from "./program.js";

/** A process that answers on many ports. */
export type CheckTargets = { readonly ports: readonly number[]; readonly program: Program };

/** Starts one process with `count` small services on loopback: Redis that answers PING, or HTTP that answers 200. */
export async function startCheckTargets(kind: "redis" | "http", count: number): Promise<CheckTargets> {
  const script = fileURLToPath(new URL("./many-services.mjs", import.meta.url));
  const program = await startProgram({
    command: process.execPath,
    args: [script, kind, String(count)],
    readyWhen: null,
    hasIpc: true,
  });
  const [ports] = (await once(program.child, "message")) as [readonly number[]];
  return { ports, program };
}
