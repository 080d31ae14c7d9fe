import { Option } from "commander";
import type { Command } from "commander";

import { messageOf } from "../../common/errors.js";
import { toPlain } from "../../common/wire/plain.js";
import { GetStatusResponseSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { GetStatusResponse } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { EXIT } from "../../common/exit-code.js";
import type { CliIo } from "../io.js";
import { AGENTS, BALANCERS, CLUSTERS } from "../listings.js";
import type { Listing } from "../output/print.js";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { formatAge } from "../output/age.js";
import { paint, paintState } from "../output/paint.js";
import { printOne, printStreamed, tableWidth } from "../output/print.js";
import { formatTable } from "../output/table.js";
import { isPassing, untilReconnect } from "../reconnect.js";
import type { Session } from "../session.js";
import { inSession } from "./command.js";
import { COORDINATORS } from "./coordinators.js";
import type { CommandContext } from "./command.js";

/** Ages go on even when nothing happens. */
const REFRESH_MS = 2_000;
const CLEAR_SCREEN = "\u001B[H\u001B[2J";

export function addStatusCommand(program: Command, context: CommandContext): void {
  program
    .command("status")
    .description("everything at a glance, problems first")
    .option("-w, --watch", "go on: again at every event, until Ctrl-C")
    .addOption(
      new Option("--check", `exit with ${EXIT.degraded} when there is a problem of severity error`).conflicts(
        "watch",
      ),
    )
    .action((options: { watch?: true; check?: true }, command: Command) =>
      inSession(context, command, async (session) => {
        if (options.watch === true) {
          await watchStatus(session);
          return;
        }
        const status = await session.control.getStatus({}, session.call);
        printOne(session.io, session.format, {
          schema: GetStatusResponseSchema,
          message: status,
          name: status.clusterId,
          forPeople: () => describeStatus(status, session.io),
        });
        const isBad = status.problems.some((problem) => problem.severity === "error");
        if (options.check === true && isBad) context.exit(EXIT.degraded);
      }),
    );
}

async function watchStatus(session: Session): Promise<void> {
  const { io, format, call } = session;
  const show = async (): Promise<number> => {
    const status = await session.control.getStatus({}, call);
    if (format === "json" || format === "yaml")
      printStreamed(io, format, toPlain(GetStatusResponseSchema, status));
    else io.out(`${io.isTerminal ? CLEAR_SCREEN : ""}${describeStatus(status, io)}`);
    return Number(status.appliedIndex);
  };
  // The first answer must come; after it a coordinator's restart is part of what is watched.
  let index = await show();
  let isAway = false;
  while (!call.signal.aborted) {
    try {
      await nextEvent(session, index);
      index = await show();
      isAway = false;
    } catch (thrown) {
      if (call.signal.aborted) return;
      if (!isPassing(thrown)) throw thrown;
      if (!isAway) io.err(`warning: ${messageOf(thrown)}; still trying\n`);
      isAway = true;
      await untilReconnect(call.signal);
    }
  }
}

/** Resolves at the first event after `index`, or when ages have to be drawn again. */
async function nextEvent(session: Session, index: number): Promise<void> {
  const turn = new AbortController();
  const signal = AbortSignal.any([session.call.signal, turn.signal]);
  const timer = setTimeout(() => turn.abort(), REFRESH_MS);
  try {
    const request = { sinceIndex: BigInt(index), follow: true };
    for await (const _event of session.control.watchEvents(request, { signal })) break;
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  } finally {
    clearTimeout(timer);
    turn.abort();
  }
}

function describeStatus(status: GetStatusResponse, io: CliIo): string {
  const leader = status.leaderId === "" ? paint("no leader", "red", io) : `leader ${status.leaderId}`;
  const head =
    `clusterduck ${status.version}, coordinator ${status.coordinatorId}, ${leader}, term ${status.term}, ` +
    `index ${status.appliedIndex}, up ${formatAge(status.uptimeSeconds * 1000)}\n`;
  const problems =
    status.problems.length === 0
      ? `${paint("No problems", "green", io)}\n`
      : status.problems
          .map(
            (each) =>
              `${paintState(each.severity, io)}: ${each.subject}: ${each.message}\n    try: ${each.hint}\n`,
          )
          .join("");
  const sections = [
    section("Clusters", CLUSTERS, status.clusters, io),
    section("Balancers", BALANCERS, status.balancers, io),
    section("Agents", AGENTS, status.agents, io),
    // One alone is the one that answers.
    status.coordinators.length < 2 ? "" : section("Coordinators", COORDINATORS, status.coordinators, io),
  ];
  return [head, problems, ...sections.filter((text) => text !== "")].join("\n");
}

function section<Desc extends DescMessage>(
  title: string,
  listing: Listing<Desc>,
  rows: readonly MessageShape<Desc>[],
  io: CliIo,
): string {
  if (rows.length === 0) return "";
  const columns = listing.columns(io).filter((column) => column.isWide !== true);
  const table = formatTable(
    columns.map((column) => column.header),
    rows.map((row) => columns.map((column) => column.value(row))),
    tableWidth(io, "table"),
  );
  return `${paint(title, "bold", io)}\n${table}`;
}
