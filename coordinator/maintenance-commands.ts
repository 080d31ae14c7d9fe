import type { Command } from "commander";

import { systemClock } from "../common/clock.js";
import { readFileConfig } from "../common/config/load.js";
import type { CommonFlags, DaemonCommands } from "../common/daemon/command-line.js";
import { configOf } from "../common/daemon/command-line.js";
import { EXIT } from "../common/exit-code.js";
import { confirm } from "./confirm.js";
import { readNewestMembers } from "./log/storage/newest-members.js";
import { replaceMember, RESTORE } from "./log/storage/recover.js";
import { inspectSnapshot, restoreSnapshot } from "./log/storage/snapshots.js";
import { verifyLog } from "./log/storage/verify.js";
import type { LogReport } from "./log/storage/verify.js";
import { listed } from "./state/state.js";
import { beginTierOf, readTierFile } from "./tier/tier-file.js";

/** Commands for a coordinator that is stopped: look at its log, look at snapshots, begin again from one. */
export function addMaintenanceCommands({ program, io, exit, withFile }: DaemonCommands): void {
  const log = program.commands.find((command) => command.name() === "log");
  if (log !== undefined) {
    withFile(log.command("verify"))
      .description("read every byte of the replicated log and say whether it is intact; changes nothing")
      .action(async (_flags: CommonFlags, command: Command) => {
        const { dataDir } = readFileConfig(configOf(command)).coordinator;
        const report = await verifyLog(dataDir);
        const isOfTier = ((await readTierFile(dataDir))?.clusterId ?? "") !== "";
        io.out(describeLog(report, isOfTier));
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
    .option("--yes", "do it without asking")
    .description(
      "make the stopped coordinator begin with this snapshot, alone; the old log is kept beside it",
    )
    .action(async (file: string, flags: CommonFlags & { yes?: true }, command: Command) => {
      const { id, dataDir } = readFileConfig(configOf(command)).coordinator;
      const { clusterId } = await inspectSnapshot(file);
      await confirmRestore(id, dataDir, flags.yes === true);
      const { last, movedTo } = await restoreSnapshot({
        directory: dataDir,
        snapshotPath: file,
        memberId: id,
        clock: systemClock,
        beforeReplacing: () => beginTierOf(clusterId, dataDir),
      });
      io.err(movedTo === null ? "" : `The old log is kept in ${movedTo}\n`);
      io.out(`Restored up to index ${last.index} (term ${last.term})\n`);
    });
}

/**
 * Beside a tier that goes on, the restored one would be a second tier under the same name, which proxies obey.
 * @throws ClusterduckError as `confirm`.
 */
async function confirmRestore(id: string, directory: string, isAgreed: boolean): Promise<void> {
  const tier = await tierIn(directory);
  if (tier === null || tier.others?.length === 0) return;
  const others = tier.others === null ? "the other coordinators" : listed(tier.others);
  await confirm({
    answer: id,
    stake:
      `"${directory}" is that of coordinator "${id}" of tier ${tier.clusterId}. Restored, it begins anew without ${others}: they refuse it, ` +
      "it refuses them, and proxies follow it rather than them. While a majority of them works, replace this one instead " +
      `(duckctl coordinators remove ${id}, then add another); when they are lost, they may never come back as they were`,
    isAgreed,
    hint: `Only when ${others} are lost for good: repeat it with --yes. While a majority of them works, replace this one: docs/how-to/tier.md`,
  });
}

/** Null: of none. `others` null: it cannot be told who they are. */
async function tierIn(
  directory: string,
): Promise<{ readonly clusterId: string; readonly others: readonly string[] | null } | null> {
  const file = await readTierFile(directory);
  if (file === null || file.clusterId === "") return null;
  const { clusterId, coordinatorId } = file;
  const members = await readNewestMembers(directory).catch(() => null);
  const isTold = members !== null && members.length > 0;
  return {
    clusterId,
    others: isTold ? members.map(({ id }) => id).filter((id) => id !== coordinatorId) : null,
  };
}

function describeLog(report: LogReport, isOfTier: boolean): string {
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
    report.damages.length === 0 ? "Intact" : isOfTier ? replaceMember(report) : RESTORE,
  ];
  return `${lines.join("\n")}\n`;
}
