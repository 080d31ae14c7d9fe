/** What the scenarios have in common: a tier under the test's hand, and the storage on a disk that fails. */
import { systemClock } from "../../../../common/clock.js";
import { silentLogger } from "../../../../common/logger.js";
import { LogStorage } from "../../../../coordinator/log/storage/log-storage.js";
import type { Entry, Position } from "../../../../coordinator/raft/entry.js";
import type { Message, MessageBody } from "../../../../coordinator/raft/message.js";
import { Tier } from "../../../support/raft/tier.js";
import type { TierOptions } from "../../../support/raft/tier.js";
import type { SimulatedDisk } from "../../../support/simulated-disk.js";

/** Three voters, of whom "a" leads term 1 with one entry that all have. */
export function led(config: TierOptions["config"] = {}, voters: readonly string[] = ["a", "b", "c"]): Tier {
  const tier = new Tier({ voters, config });
  tier.elect("a");
  tier.pass(2);
  forget(tier);
  return tier;
}

/** What happened so far does not matter. */
export function forget(tier: Tier): void {
  for (const member of tier.members) member.takeHappenings();
}

export function leaders(tier: Tier): readonly string[] {
  return tier.members.filter(({ isDown, core }) => !isDown && core.role === "leader").map(({ id }) => id);
}

export function kinds(messages: readonly Message[]): readonly string[] {
  return messages.map((message) => message.kind);
}

/** Lets time pass until somebody leads. @returns who, or null after so many ticks. */
export function awaitLeader(
  tier: Tier,
  ticks: number,
  isWanted: (id: string) => boolean = () => true,
): string | null {
  for (let tick = 0; tick < ticks; tick++) {
    const leader = leaders(tier).find(isWanted);
    if (leader !== undefined) return leader;
    tier.pass(1);
  }
  return null;
}

/** Texts of the commands that a member has applied since last asked. */
export function applied(tier: Tier, id: string): readonly string[] {
  return tier
    .member(id)
    .takeHappenings()
    .flatMap((each) => (each.kind === "applied" && each.entry.kind === "command" ? [text(each.entry)] : []));
}

export function command(index: number, term: number, content = `${index}/${term}`): Entry {
  return { index, term, kind: "command", payload: new TextEncoder().encode(content) };
}

export function at(index: number, term: number): Position {
  return { index, term };
}

/** A message made by hand. */
export function from(sender: string, to: string, term: number, body: MessageBody): Message {
  return { from: sender, to, term, ...body };
}

export function openStorage(disk: SimulatedDisk, memberId = "c1"): Promise<LogStorage> {
  return LogStorage.open({
    directory: "/log",
    memberId,
    clusterId: "",
    disk: disk.attach(),
    clock: systemClock,
    logger: silentLogger,
    segmentBytes: 16 * 1024,
    reserveBytes: 0,
  });
}

function text(entry: Entry): string {
  return new TextDecoder().decode(entry.payload);
}
