import type { Command } from "commander";

import { systemClock } from "../common/clock.js";
import { readFileConfig } from "../common/config/load.js";
import type { CommonFlags, DaemonCommands } from "../common/daemon/command-line.js";
import { configOf } from "../common/daemon/command-line.js";
import { EXIT } from "../common/exit-code.js";
import { inspectSnapshot, restoreSnapshot } from "./log/storage/snapshots.js";
import { verifyLog } from "./log/storage/verify.js";
import type { LogReport } from "./log/storage/verify.js";

/** Commands for a coordinator that is stopped: look at its log, look at snapshots, begin again from one. */
export function addMaintenanceCommands({ program, io, exit, withFile }: DaemonCommands): void {
  const log = program.commands.find((command) => command.name() === "log");
  if (log !== undefined) {
    withFile(log.command("verify"))
      .description("read every byte of the replicated log and say whether it is intact; changes nothing")
      .action(async (_flags: CommonFlags, command: Command) => {
        const report = await verifyLog(readFileConfig(configOf(command)).coordinator.dataDir);
        io.out(describeLog(report));
        if (report.damages.length > 0) exit(EXIT.failed);
      });
  }

  const snapshot = program
    .command("snapshot")
    .description("look at a snapshot file, or begin again from one");
  snapshot
    .command("inspect")
    .alias("verify")
    .argument("<file>")
    .description("check every checksum and print what the snapshot holds")
    .action(async (file: string) => {
      const header = await inspectSnapshot(file);
      io.out(
        `${JSON.stringify({ file, intact: true, ...header, createdAt: new Date(header.createdAtMs).toISOString() }, null, 2)}\n`,
      );
    });
  withFile(snapshot.command("restore"))
    .argument("<file>")
    .description("make the stopped coordinator begin with this snapshot; the old log is kept beside it")
    .action(async (file: string, _flags: CommonFlags, command: Command) => {
      const { coordinator } = readFileConfig(configOf(command));
      const { last, movedTo } = await restoreSnapshot({
        directory: coordinator.dataDir,
        snapshotPath: file,
        memberId: coordinator.id,
        clock: systemClock,
      });
      io.err(movedTo === null ? "" : `The old log is kept in ${movedTo}\n`);
      io.out(`Restored up to index ${last.index} (term ${last.term})\n`);
    });
}

function describeLog(report: LogReport): string {
  const lines = [
    `Log in ${report.directory}: member ${report.memberId}, term ${report.term}, last index ${report.last.index}`,
    ...report.segments.map(
      ({ file, entries, firstIndex, lastIndex, usedBytes, end }) =>
        `  ${file}: ${entries} entries${entries === 0 ? "" : ` (${firstIndex} to ${lastIndex})`}, ${usedBytes} bytes, ${end}`,
    ),
    ...report.snapshots.map(
      ({ file, last, isIntact }) => `  ${file}: up to ${last.index}, ${isIntact ? "intact" : "damaged"}`,
    ),
    ...(report.torn === null
      ? []
      : [
          `Torn write at ${report.torn.file}:${report.torn.offset} (never acknowledged; the next start cuts it off)`,
        ]),
    ...report.damages.map((damage) => `DAMAGED: ${damage.file} at offset ${damage.offset}: ${damage.found}`),
    report.damages.length === 0 ? "Intact" : "Restore a snapshot: duck-coordinator snapshot restore FILE",
  ];
  return `${lines.join("\n")}\n`;
}
