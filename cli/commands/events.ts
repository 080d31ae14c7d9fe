import type { Command } from "commander";
import { timestampDate } from "@bufbuild/protobuf/wkt";

import { ClusterduckError } from "../../common/errors.js";
import { toPlain } from "../../common/wire/plain.js";
import { EventSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { Event } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { CliIo } from "../io.js";
import { countOption } from "../options.js";
import { paint } from "../output/paint.js";
import { printData, printLine } from "../output/print.js";
import type { Session } from "../session.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

type EventOptions = {
  readonly follow?: true;
  readonly since: number;
  readonly type?: string;
  readonly cluster?: string;
};

export function addEventsCommand(program: Command, context: CommandContext): void {
  program
    .command("events")
    .description("what has happened, oldest first; the index resumes it")
    .option("-f, --follow", "go on with what comes, until Ctrl-C")
    .addOption(countOption("--since <index>", "only events after this log index", 0).default(0))
    .option("--type <types>", "only these, separated by commas (state, nodes, active, agent, run, ...)")
    .option("--cluster <cluster>", "only this cluster")
    .action((options: EventOptions, command: Command) =>
      inSession(context, command, (session) => showEvents(session, options)),
    );
}

async function showEvents(session: Session, options: EventOptions): Promise<void> {
  const { io, format } = session;
  const isFollowing = options.follow === true;
  const kept: Event[] = [];
  for await (const event of follow(session, options)) {
    // A list that ends is one document; a stream is a line per event, as it comes.
    if (!isFollowing && (format === "json" || format === "yaml")) kept.push(event);
    else if (format === "json" || format === "yaml") printLine(io, toPlain(EventSchema, event));
    else if (format === "name") io.out(`${event.index}.${event.ordinal}\n`);
    else io.out(formatEvent(event, io));
  }
  if (!isFollowing && (format === "json" || format === "yaml")) {
    printData(
      io,
      format,
      kept.map((event) => toPlain(EventSchema, event)),
    );
  }
}

/** Follows over a coordinator's restart: it resumes after the last event that it has shown. */
async function* follow(session: Session, options: EventOptions): AsyncGenerator<Event> {
  const { signal } = session.call;
  let since = options.since;
  let shownOfIndex = 0;
  let isConnected = false;
  while (!signal.aborted) {
    const request = {
      // One before: an entry can have several events, and the stream may have ended between two of them.
      sinceIndex: BigInt(Math.max(0, since - (isConnected ? 1 : 0))),
      follow: options.follow === true,
      cluster: options.cluster ?? "",
      types: options.type?.split(",").map((type) => type.trim()) ?? [],
    };
    try {
      for await (const { event } of session.control.watchEvents(request, { signal })) {
        if (event === undefined) continue;
        const index = Number(event.index);
        if (isConnected && (index < since || (index === since && event.ordinal < shownOfIndex))) continue;
        [since, shownOfIndex] = [index, event.ordinal + 1];
        yield event;
      }
      if (options.follow !== true) return;
    } catch (thrown) {
      if (signal.aborted) return;
      const isPassing =
        thrown instanceof ClusterduckError && ["UNREACHABLE", "STOPPING"].includes(thrown.code);
      if (options.follow !== true || !isConnected || !isPassing) throw thrown;
    }
    isConnected = true;
    await pause(RECONNECT_MS, signal);
  }
}

const RECONNECT_MS = 500;

function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, durationMs);
    signal.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
  });
}

function formatEvent(event: Event, io: CliIo): string {
  const at = event.at === undefined ? "" : timestampDate(event.at).toISOString();
  const where = [event.cluster, event.addr].filter((part) => part !== "").join("/");
  const words = [
    paint(at, "dim", io),
    String(event.index).padStart(6),
    event.type.padEnd(14),
    where,
    event.message,
  ];
  return `${words.filter((word) => word !== "").join("  ")}\n`;
}
