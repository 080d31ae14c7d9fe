import assert from "node:assert/strict";

import type { ProxyTargetConfig } from "../../common/config/model.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import { masterChannel, statsChannel } from "./cli.js";
import type { RuntimeChannel } from "./cli.js";
import { inspect, planRuntime, serverKey } from "./runtime.js";
import type { RunningProxy } from "./runtime.js";
import type { OwnedServer } from "./server-lines.js";

export type Sight =
  | {
      readonly kind: "seen";
      readonly running: RunningProxy;
      /** Every wanted server is there, with the wanted state and weight. */
      readonly isMatched: boolean;
      /** What stands between, for people; empty when matched. */
      readonly difference: string;
      /** Commands that were given to get here. */
      readonly commands: number;
      /** What an operator should mend although it worked; empty when there is nothing. */
      readonly note: string;
    }
  | {
      readonly kind: "unseen";
      readonly problem: string;
      /** Nobody answers on the socket: HAProxy is away, or only its socket is. */
      readonly isSocketGone: boolean;
    };

/** The running HAProxy, as far as it can be asked and told without a reload. */
export interface ProxyLink {
  /** False when the configuration names no socket. */
  readonly canAsk: boolean;
  look(wanted: readonly OwnedServer[]): Promise<Sight>;
  /**
   * Brings states and weights to the wanted ones, and takes `removed` servers out of service; then looks
   * again. Needs no reload, so it is also the first thing done before one: fence first, then switch.
   */
  bring(wanted: readonly OwnedServer[], removed: readonly OwnedServer[]): Promise<Sight>;
  /** Identity of the running worker; null when it cannot be asked. */
  worker(): Promise<string | null>;
}

export function createProxyLink(target: ProxyTargetConfig): ProxyLink {
  const { statsSocket, reload } = target;
  const stats = statsSocket === null ? null : { channel: statsChannel(statsSocket), socket: statsSocket };
  const master = reload.kind === "master" ? masterChannel(reload.socket) : null;
  if (stats === null && master === null) {
    const problem = "no stats socket or master socket is configured";
    const unseen: Sight = { kind: "unseen", problem, isSocketGone: false };
    return { canAsk: false, look: async () => unseen, bring: async () => unseen, worker: async () => null };
  }
  if (stats === null || master === null) {
    const only = stats?.channel ?? master;
    assert(only !== null);
    return linkOver(async (work) => ({ result: await work(only), note: "" }));
  }
  return linkOver((work) => useEither(work, stats, master));
}

type Use = <Result>(
  work: (channel: RuntimeChannel) => Promise<Result>,
) => Promise<{ readonly result: Result; readonly note: string }>;

/** HAProxy passes its stats socket on from worker to worker, so one that was removed stays away over reloads. */
export const SOCKET_REMEDY = "restart HAProxy, because a reload does not bring its stats socket back";

/** Over the stats socket; through the master when only that socket is gone. @throws ClusterduckError. */
async function useEither<Result>(
  work: (channel: RuntimeChannel) => Promise<Result>,
  stats: { readonly channel: RuntimeChannel; readonly socket: string },
  master: RuntimeChannel,
): Promise<{ readonly result: Result; readonly note: string }> {
  try {
    return { result: await work(stats.channel), note: "" };
  } catch (thrown) {
    if (!isUnreachable(thrown)) throw thrown;
    const result = await work(master).catch(() => {
      // With both away HAProxy is, and the stats socket is the one to tell of.
      throw thrown;
    });
    const why = messageOf(thrown);
    return { result, note: `${why}; the master socket serves instead: to mend it, ${SOCKET_REMEDY}` };
  }
}

function isUnreachable(thrown: unknown): boolean {
  return thrown instanceof ClusterduckError && thrown.code === "UNREACHABLE";
}

function linkOver(use: Use): ProxyLink {
  const unseen = (thrown: unknown): Sight => ({
    kind: "unseen",
    problem: messageOf(thrown),
    isSocketGone: isUnreachable(thrown),
  });
  const look = async (wanted: readonly OwnedServer[], commands = 0, complaint = ""): Promise<Sight> => {
    try {
      const { result: running, note } = await use((channel) => inspect(channel, backendsOf(wanted)));
      return { kind: "seen", running, ...compare(wanted, running, complaint), commands, note };
    } catch (thrown) {
      return unseen(thrown);
    }
  };
  return {
    canAsk: true,
    look: (wanted) => look(wanted),
    bring: async (wanted, removed) => {
      const first = await look([...wanted, ...removed]);
      if (first.kind === "unseen") return first;
      const commands = [...fences(removed, first.running), ...planRuntime(wanted, first.running).commands];
      // Nothing to do and nothing removed: the first look is the answer.
      if (commands.length === 0 && removed.length === 0) return first;
      try {
        const complaint = commands.length === 0 ? "" : (await use((channel) => channel.run(commands))).result;
        return await look(wanted, commands.length, complaint.trim().replaceAll(/\s*\n\s*/g, " "));
      } catch (thrown) {
        return unseen(thrown);
      }
    },
    worker: async () => {
      const sight = await look([]);
      return sight.kind === "seen" ? sight.running.worker : null;
    },
  };
}

/** How the running servers stand to the wanted ones; the first differences, for people. */
function compare(
  wanted: readonly OwnedServer[],
  running: RunningProxy,
  complaint: string,
): { readonly isMatched: boolean; readonly difference: string } {
  const { commands, obstacles } = planRuntime(wanted, running);
  if (commands.length === 0 && obstacles.length === 0) return { isMatched: true, difference: "" };
  const differences = [complaint, ...obstacles, ...commands.map((command) => `not done: ${command}`)];
  return {
    isMatched: false,
    difference: differences
      .filter((text) => text !== "")
      .slice(0, 3)
      .join("; "),
  };
}

function fences(removed: readonly OwnedServer[], running: RunningProxy): readonly string[] {
  const keys = removed.map(serverKey);
  return keys
    .filter((key) => running.servers.get(key)?.isDisabled === false)
    .map((key) => `set server ${key} state maint`);
}

function backendsOf(servers: readonly OwnedServer[]): ReadonlySet<string> {
  return new Set(servers.map((server) => server.backend));
}
