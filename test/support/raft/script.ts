import assert from "node:assert/strict";
import type { MembershipChange } from "../../../coordinator/raft/membership.js";
import type { Message, MessageOf } from "../../../coordinator/raft/message.js";
import {
  describeHappening,
  describeMember,
  describeMembers,
  describeMessage,
  describePeers,
} from "./describe.js";
import { Tier } from "./tier.js";
import type { TierOptions } from "./tier.js";

/*
 * A script is a text for people with commands in it. A line that begins with "> " is a command; the lines
 * after it, up to an empty one, say what happened and how members that changed then stand. Everything else is
 * left as it is. See the scripts for the commands.
 */

/** Runs a script and returns it with what really happened in the place of what was expected. */
export function runScript(text: string): string {
  const stage = new Stage();
  const lines: string[] = [];
  let isOutput = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("> ")) {
      lines.push(line, ...stage.run(line.slice(2)));
      isOutput = true;
    } else if (!isOutput || line.trim() === "") {
      lines.push(line);
      isOutput = false;
    }
  }
  return lines.join("\n");
}

class Stage {
  #tier: Tier | null = null;
  /** As last told, by member. */
  readonly #told = new Map<string, string>();
  #requests = 0;

  run(command: string): readonly string[] {
    const words = command.trim().split(/\s+/);
    const [verb = "", ...rest] = words;
    const said = this.#act(verb, rest);
    return [...said, ...this.#changes()];
  }

  get tier(): Tier {
    assert(this.#tier !== null, 'A script begins with "tier"');
    return this.#tier;
  }

  #act(verb: string, words: readonly string[]): readonly string[] {
    const [id = "", second = "", third = ""] = words;
    switch (verb) {
      case "tier":
        this.#setUp(words);
        return [];
      case "start":
        this.tier.start(id);
        return [];
      case "tick":
        this.tier.tick(id === "all" ? this.#ids : [id], Number(second || 1));
        return [];
      case "pass":
        this.tier.pass(Number(id));
        return [];
      case "campaign":
        this.tier.at(id, (core) => core.campaign());
        return [];
      case "propose": {
        const result = this.tier.propose(id, ...words.slice(1));
        return result.isAccepted ? [] : [`refused: ${result.reason}`];
      }
      case "forward":
        this.tier.at(id, (core) => core.forward(this.#request(id), new TextEncoder().encode(second)));
        return [];
      case "read":
        this.tier.at(id, (core) => core.readIndex(this.#request(id)));
        return [];
      case "change": {
        const result = this.tier.at(id, (core) => core.proposeMembership(toChange(second, third)));
        return [
          result.isAccepted ? `members: ${describeMembers(result.membership)}` : `refused: ${result.reason}`,
        ];
      }
      case "transfer": {
        const result = this.tier.at(id, (core) => core.transferLeadership(second || undefined));
        return [result.isAccepted ? `to ${result.to}` : `refused: ${result.reason}`];
      }
      case "snapshot":
        this.tier.member(id).snapshot(Number(second || 0));
        return [];
      case "deliver":
        return this.tier.deliver(toFilter(words)).map(describeMessage);
      case "settle":
        this.tier.settle();
        return [];
      case "drop":
        return this.tier.drop(toFilter(words)).map((message) => `lost: ${describeMessage(message)}`);
      case "reverse":
        this.tier.reverse();
        return [];
      case "queue":
        return this.tier.queue.map(describeMessage);
      case "unreachable":
        this.tier.at(id, (core) => core.reportUnreachable(second));
        return [];
      case "disconnected":
        this.tier.at(id, (core) => core.reportDisconnected(second));
        return [];
      case "cut":
        this.tier.cut(id, second);
        return [];
      case "isolate":
        this.tier.isolate(id);
        return [];
      case "heal":
        this.tier.heal();
        return [];
      case "disk":
        this.#setDisk(id, second);
        return [];
      case "crash":
        this.tier.crash(id);
        return [];
      case "restart":
        this.tier.restart(id);
        return [];
      case "late":
        this.tier.give({ from: id, to: second, ...toVote(words.slice(2)) });
        return [];
      case "given":
        this.tier.given(id, Number(second.replace("term=", "")), words.slice(3).map(toTerm));
        return [];
      case "wipe":
        this.tier.member(id).wipe(this.tier.founders);
        return [];
      case "peers":
        return describePeers(this.tier.member(id));
      case "members":
        return [describeMembers(this.tier.core(id).membership)];
      default:
        throw new Error(`A script knows no command "${verb}"`);
    }
  }

  /** `tier a b c learners d leader=a maxAppendBytes=100`: how the leader came about is not told. */
  #setUp(words: readonly string[]): void {
    const { leader, ...options } = toOptions(words);
    this.#tier = new Tier(options);
    this.#told.clear();
    if (leader === null) return;
    this.#tier.elect(leader);
    for (const member of this.#tier.members) member.takeHappenings();
  }

  get #ids(): readonly string[] {
    return this.tier.members.map((member) => member.id);
  }

  #request(id: string): { client: string; sequence: number } {
    return { client: id, sequence: ++this.#requests };
  }

  #setDisk(id: string, state: string): void {
    const member = this.tier.member(id);
    member.isDiskSlow = state === "slow";
    if (state !== "slow") member.persist();
  }

  #changes(): readonly string[] {
    return this.tier.members.flatMap((member) => {
      const happenings = member.takeHappenings().map((happening) => describeHappening(member.id, happening));
      const state = describeMember(member);
      const isNew = this.#told.get(member.id) !== state;
      this.#told.set(member.id, state);
      return [...happenings.filter((line) => line !== null), ...(isNew ? [state] : [])];
    });
  }
}

function toOptions(words: readonly string[]): TierOptions & { readonly leader: string | null } {
  const config: Record<string, number> = {};
  const ids: string[] = [];
  let leader: string | null = null;
  for (const word of words) {
    const [name = "", value] = word.split("=");
    if (value === undefined) ids.push(name);
    else if (name === "leader") leader = value;
    else config[name] = Number(value);
  }
  const split = ids.includes("learners") ? ids.indexOf("learners") : ids.length;
  return { voters: ids.slice(0, split), learners: ids.slice(split + 1), config, leader };
}

/** Of `3/1` the 1; positions stand in order. */
function toTerm(position: string): number {
  return Number(position.split("/")[1]);
}

/** `vote term=2 last=1/1`: a message of long ago. */
function toVote(words: readonly string[]): Pick<MessageOf<"vote">, "kind" | "term" | "last" | "isTransfer"> {
  const [kind, term, last] = words;
  assert(kind === "vote", "Only votes are ever late");
  const [index = 0, lastTerm = 0] = (last ?? "").replace("last=", "").split("/").map(Number);
  const position = { index, term: lastTerm };
  return { kind, term: Number(term?.replace("term=", "")), last: position, isTransfer: false };
}

/** Words that all must fit: a member, `a→b`, or a kind of message. */
function toFilter(words: readonly string[]): (message: Message) => boolean {
  return ({ from, to, kind }) =>
    words.every((word) => [kind, from, to, `${from}→${to}`, `→${to}`, `${from}→`].includes(word));
}

function toChange(kind: string, id: string): MembershipChange {
  switch (kind) {
    case "add":
    case "move":
      return { kind, id, address: `${id}.example:7100` };
    case "promote":
    case "demote":
    case "remove":
      return { kind, id };
    default:
      throw new Error(`A script knows no membership change "${kind}"`);
  }
}
