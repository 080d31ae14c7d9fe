import type { ProxyTargetConfig } from "../../common/config/model.js";
import { messageOf } from "../../common/errors.js";
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
    }
  | { readonly kind: "unseen"; readonly problem: string };

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
  const channel = channelTo(target);
  if (channel === null) {
    const unseen: Sight = { kind: "unseen", problem: "no stats socket or master socket is configured" };
    return { canAsk: false, look: async () => unseen, bring: async () => unseen, worker: async () => null };
  }
  return linkOver(channel);
}

function channelTo(target: ProxyTargetConfig): RuntimeChannel | null {
  if (target.statsSocket !== null) return statsChannel(target.statsSocket);
  return target.reload.kind === "master" ? masterChannel(target.reload.socket) : null;
}

function linkOver(channel: RuntimeChannel): ProxyLink {
  const look = async (wanted: readonly OwnedServer[], commands = 0, complaint = ""): Promise<Sight> => {
    try {
      const running = await inspect(channel, backendsOf(wanted));
      const plan = planRuntime(wanted, running);
      const isMatched = plan.commands.length === 0 && plan.obstacles.length === 0;
      const difference = [
        complaint,
        ...plan.obstacles,
        ...plan.commands.map((command) => `not done: ${command}`),
      ];
      return {
        kind: "seen",
        running,
        isMatched,
        difference: isMatched
          ? ""
          : difference
              .filter((text) => text !== "")
              .slice(0, 3)
              .join("; "),
        commands,
      };
    } catch (thrown) {
      return { kind: "unseen", problem: messageOf(thrown) };
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
        const complaint =
          commands.length === 0 ? "" : (await channel.run(commands)).trim().replaceAll(/\s*\n\s*/g, " ");
        return await look(wanted, commands.length, complaint);
      } catch (thrown) {
        return { kind: "unseen", problem: messageOf(thrown) };
      }
    },
    worker: async () => {
      const sight = await look([]);
      return sight.kind === "seen" ? sight.running.worker : null;
    },
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
