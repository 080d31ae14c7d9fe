import { Option } from "commander";
import type { Command } from "commander";
import { timestampDate } from "@bufbuild/protobuf/wkt";

import { toPlain } from "../../common/wire/plain.js";
import { EventSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { Event } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { CliIo } from "../io.js";
import { countOption } from "../options.js";
import { paint } from "../output/paint.js";
import { printData, printStreamed } from "../output/print.js";
import { isPassing, untilReconnect } from "../reconnect.js";
import type { Session } from "../session.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

type EventOptions = {
  readonly follow?: true;
  readonly since: number;
  readonly type?: readonly string[];
  readonly cluster?: string;
};

/** Kinds of events: `agent` stands for `agent.lost` and `agent.found`. */
const TYPES = ["state", "nodes", "active", "overlay", "config", "panic", "agent", "run", "delivery"];

export function addEventsCommand(program: Command, context: CommandContext): void {
  program
    .command("events")
    .description("what has happened, oldest first; the index resumes it")
    .option("-f, --follow", "go on with what comes, until Ctrl-C")
    .addOption(countOption("--since <index>", "only events after this log index", 0).default(0))
    .addOption(
      new Option("--type <types>", "only these, separated by commas")
        .choices(TYPES)
        // A list, and with the full names too: the coordinator judges them.
        .argParser((text: string) => text.split(",").map((type) => type.trim())),
    )
    .option("--cluster <cluster>", "only this cluster")
    .action((options: EventOptions, command: Command) =>
      inSession(context, command, (session) => showEvents(session, options)),
    );
}

async function showEvents(session: Session, options: EventOptions): Promise<void> {
  const { io, format } = session;
  const isFollowing = options.follow === true;
  const isData = format === "json" || format === "yaml";
  const formatEvent = eventFormatter(io);
  const kept: Event[] = [];
  for await (const event of follow(session, options)) {
    // A list that ends is one document; a stream is a line per event, as it comes.
    if (isData && !isFollowing) kept.push(event);
    else if (isData) printStreamed(io, format, toPlain(EventSchema, event));
    else if (format === "name") io.out(`${event.index}.${event.ordinal}\n`);
    else io.out(formatEvent(event));
  }
  if (isData && !isFollowing) {
    printData(
      io,
      format,
      kept.map((event) => toPlain(EventSchema, event)),
    );
  }
}

/** Follows over a coordinator's restart: it resumes after the last event that it has shown. */
async function* follow(session: Session, options: EventOptions): AsyncGenerator<Event> {
  const { control, call } = session;
  const isFollowing = options.follow === true;
  // A stream without events does not tell whether anybody is there: from here on, whoever goes away comes back.
  if (isFollowing) await control.getStatus({}, call);
  let last: Event | null = null;
  while (!call.signal.aborted) {
    const request = {
      // An entry can have several events, and the stream may have ended between two of them.
      sinceIndex: last === null ? BigInt(options.since) : last.index - 1n,
      follow: isFollowing,
      cluster: options.cluster ?? "",
      types: [...(options.type ?? [])],
    };
    try {
      // What ends by itself must end in time; what is followed has no end.
      const stream = control.watchEvents(request, isFollowing ? { signal: call.signal } : call);
      for await (const { event } of stream) {
        if (event === undefined || (last !== null && !isAfter(event, last))) continue;
        last = event;
        yield event;
      }
    } catch (thrown) {
      if (call.signal.aborted) return;
      if (!isFollowing || !isPassing(thrown)) throw thrown;
    }
    if (!isFollowing) return;
    await untilReconnect(call.signal);
  }
}

function isAfter(event: Event, last: Event): boolean {
  return event.index > last.index || (event.index === last.index && event.ordinal > last.ordinal);
}

/** Widths of what most events hold; a longer type or subject widens the column for those that follow. */
const TYPE_WIDTH = 18;
const SUBJECT_WIDTH = 32;

/** Time, index, type, subject, message, in columns that stay where they are while the stream goes on. */
function eventFormatter(io: CliIo): (event: Event) => string {
  let typeWidth = TYPE_WIDTH;
  let subjectWidth = SUBJECT_WIDTH;
  return (event) => {
    const at = event.at === undefined ? "-" : timestampDate(event.at).toISOString();
    const subject = subjectOf(event);
    typeWidth = Math.max(typeWidth, event.type.length);
    subjectWidth = Math.max(subjectWidth, subject.length);
    const words = [
      paint(at, "dim", io),
      String(event.index).padStart(INDEX_WIDTH),
      event.type.padEnd(typeWidth),
      subject.padEnd(subjectWidth),
      event.message.replaceAll(/\s*[\r\n]\s*/g, " "),
    ];
    return `${words.join("  ")}\n`;
  };
}

const INDEX_WIDTH = 6;

/** What an event is about: a node, a cluster, or an agent or balancer that its data name. */
function subjectOf(event: Event): string {
  if (event.addr !== "") return `${event.cluster}/${event.addr}`;
  if (event.cluster !== "") return event.cluster;
  const { agent, balancer } = event.data ?? {};
  const named = agent ?? balancer;
  return typeof named === "string" ? named : "-";
}
