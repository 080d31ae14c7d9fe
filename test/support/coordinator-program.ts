import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createGrpcClient } from "../../common/grpc/client.js";
import type { ServiceClient } from "../../common/grpc/service.js";
import { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { atEnd } from "./at-end.js";
import { runProgram } from "./program.js";
import type { RunningProgram } from "./program.js";

/** The built duck-coordinator in a folder of its own, as a user runs it. */
export type CoordinatorProgram = {
  readonly folder: string;
  readonly file: string;
  readonly program: RunningProgram;
  readonly grpc: string;
  readonly http: string;
  readonly control: ServiceClient<typeof ControlService>;
  /** Addresses of cluster `web`. */
  readonly addrs: () => Promise<readonly string[]>;
};

/** `coordinator` is the section of that name; ports are free ones unless it says otherwise. */
export function coordinatorYaml(
  clusters: string,
  coordinator = 'listen: "127.0.0.1:0", http: "127.0.0.1:0"',
): string {
  return `${clusters}\ncoordinator: {id: c1, data_dir: data, ${coordinator}}\nagent: {id: a1, state_dir: agent}\n`;
}

export function temporaryFolder(context: Pick<TestContext, "after">): string {
  const folder = mkdtempSync(join(tmpdir(), "duck-hostile-"));
  // The keeper of triggers outlives its coordinator and may write a last note meanwhile.
  atEnd(context, () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}

/** Starts it and waits until it works; killed when the test ends. */
export async function startCoordinatorProgram(
  context: Pick<TestContext, "after">,
  yaml: string,
  folder = temporaryFolder(context),
): Promise<CoordinatorProgram> {
  const file = join(folder, "clusterduck.yaml");
  writeFileSync(file, yaml);
  const program = runProgram("duck-coordinator", ["-c", file]);
  atEnd(context, () => program.kill());
  const started = await program.event((line) => line.event === "coordinator.started");
  const grpc = String(started["grpc"]);
  const client = createGrpcClient(ControlService, grpc);
  atEnd(context, () => client.close());
  return {
    folder,
    file,
    program,
    grpc,
    http: String(started["http"]),
    control: client.call,
    addrs: async () => (await client.call.listNodes({ cluster: "web" })).nodes.map(({ addr }) => addr),
  };
}
