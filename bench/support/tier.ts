import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freePort } from "../../test/support/free-port.js";
import { startOurs } from "./program.js";
import type { Program } from "./program.js";

/** A coordinator as a process of its own, and the file that it and an agent beside it read. */
export type Tier = {
  readonly folder: string;
  readonly configFile: string;
  /** Its gRPC address. */
  readonly address: string;
  readonly coordinator: Program;
  /** Starts an agent beside it; it ends with the tier at the latest. */
  readonly startAgent: (prefix?: readonly string[]) => Promise<Program>;
  readonly stop: () => Promise<void>;
};

/** Starts a coordinator on a folder of its own. `yaml`: the clusters; `FOLDER` stands for that folder. */
export async function startTier(yaml: string): Promise<Tier> {
  const folder = await mkdtemp(join(tmpdir(), "duck-bench-"));
  const configFile = join(folder, "clusterduck.yaml");
  const address = `127.0.0.1:${await freePort()}`;
  await writeFile(
    configFile,
    `${yaml.replaceAll("FOLDER", folder)}
coordinator: {id: c1, data_dir: ${folder}/coordinator, listen: "${address}", http: "127.0.0.1:${await freePort()}"}
agent: {id: a1, coordinators: ["${address}"], state_dir: ${folder}/agent}
`,
  );
  const programs: Program[] = [];
  const start = async (...options: Parameters<typeof startOurs>): Promise<Program> => {
    const program = await startOurs(...options);
    programs.push(program);
    return program;
  };
  const stop = async (): Promise<void> => {
    for (const program of programs.reverse()) await program.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const coordinator = await start("duck-coordinator", configFile);
    const startAgent = (prefix: readonly string[] = []): Promise<Program> =>
      start("duck-agent", configFile, prefix);
    return { folder, configFile, address, coordinator, startAgent, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}
