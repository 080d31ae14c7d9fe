import { systemClock } from "../common/clock.js";
import { readFileConfig } from "../common/config/load.js";
import type { CommonFlags, DaemonCommands } from "../common/daemon/command-line.js";
import { EXIT } from "../common/exit-code.js";
import { createGrpcClient } from "../common/grpc/client.js";
import { silentLogger } from "../common/logger.js";
import { readTlsOnce } from "../common/tls/source.js";
import { toPlain } from "../common/wire/plain.js";
import { ControlService, GetStatusResponseSchema } from "../proto/gen/clusterduck/v1/control_pb.js";
import { ownAddress } from "./addresses.js";

const TIMEOUT_MS = 5_000;

/** `duck-coordinator status`: whether the one that the configuration describes runs, and how it is. */
export function addStatusCommand({ program, io, exit, withFile }: DaemonCommands): void {
  withFile(program.command("status"))
    .description("show whether the one that this configuration describes runs, and how it is")
    .option("--json", "everything, as JSON")
    .action(async (flags: CommonFlags & { json?: true }) => {
      const { grpc, tls: tlsConfig, id } = readFileConfig(flags.config).coordinator;
      const address = ownAddress(grpc, grpc.port);
      const tls =
        tlsConfig === null
          ? null
          : await readTlsOnce({
              config: tlsConfig,
              expected: { role: "member", name: id },
              clock: systemClock,
              logger: silentLogger,
            });
      const client = createGrpcClient(ControlService, address, { tls });
      try {
        const status = await client.call.getStatus({}, { timeoutMs: TIMEOUT_MS });
        if (flags.json === true) {
          io.out(`${JSON.stringify(toPlain(GetStatusResponseSchema, status), null, 2)}\n`);
        } else {
          const role =
            status.leaderId === status.coordinatorId ? "leads" : `follows ${status.leaderId || "nobody"}`;
          io.out(
            `${status.coordinatorId} runs at ${address} and ${role}: term ${status.term}, index ${status.appliedIndex}, ` +
              `${status.clusters.length} clusters, ${status.agents.length} agents, ${status.problems.length} problems\n`,
          );
          for (const { severity, subject, message } of status.problems)
            io.out(`  ${severity}: ${subject}: ${message}\n`);
        }
        if (status.problems.some((problem) => problem.severity === "error")) exit(EXIT.degraded);
      } finally {
        client.close();
      }
    });
}
