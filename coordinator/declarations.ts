import { isDeepStrictEqual } from "node:util";

import type { Clock } from "../common/clock.js";
import { messageOf } from "../common/errors.js";
import type { Logger } from "../common/logger.js";
import type { DeclaredNode } from "./agents/hello.js";
import type { ReplicatedLog } from "./log/replicated-log.js";
import type { Replica } from "./replica.js";
import type { StateView } from "./state/model.js";
import { readWish } from "./state/nodes.js";

export type DeclarationsOptions = {
  readonly replica: Replica;
  readonly log: Pick<ReplicatedLog, "leadership">;
  readonly clock: Clock;
  readonly logger: Logger;
};

const RETRY_MS = 2_000;

/** Commits the nodes that agents declare when they differ from what is committed, while this coordinator leads. */
export class Declarations {
  readonly #options: DeclarationsOptions;
  readonly #wanted = new Map<string, readonly DeclaredNode[]>();
  readonly #underWay = new Set<string>();
  readonly #unsubscribe: () => void;
  #isClosed = false;

  constructor(options: DeclarationsOptions) {
    this.#options = options;
    this.#unsubscribe = options.replica.onApplied(({ command, result }) => {
      if (command?.type === "removeAgent" && result.isAccepted) this.#wanted.delete(command.agentId);
    });
  }

  /** The agent's newest word. */
  declare(agentId: string, nodes: readonly DeclaredNode[]): void {
    this.#wanted.set(agentId, nodes);
    void this.#commit(agentId);
  }

  /** Looks at everything again: this coordinator leads now, or clusters have come. */
  review(): void {
    for (const agentId of this.#wanted.keys()) void this.#commit(agentId);
  }

  close(): void {
    this.#unsubscribe();
    this.#isClosed = true;
  }

  async #commit(agentId: string): Promise<void> {
    const { replica, log, clock, logger } = this.#options;
    const nodes = this.#wanted.get(agentId);
    const isIdle = this.#isClosed || this.#underWay.has(agentId) || !log.leadership().isLeader;
    if (nodes === undefined || isIdle || isCommitted(replica.state, agentId, nodes)) return;
    this.#underWay.add(agentId);
    try {
      const { result } = await replica.propose({ type: "declareNodes", agentId, nodes }, `agent:${agentId}`);
      if (!result.isAccepted) logger.warn("agent.nodes_refused", { agent: agentId, error: result.message });
    } catch (thrown) {
      logger.warn("agent.nodes_not_committed", { agent: agentId, error: messageOf(thrown) });
      clock.after(RETRY_MS, () => void this.#commit(agentId));
    } finally {
      this.#underWay.delete(agentId);
    }
    // The agent may have said something else meanwhile.
    if (this.#wanted.get(agentId) !== nodes) await this.#commit(agentId);
  }
}

function isCommitted(state: StateView, agentId: string, nodes: readonly DeclaredNode[]): boolean {
  const words = (each: DeclaredNode): readonly unknown[] => [each.cluster, each.addr, each.attributes];
  const committed = [...state.nodes.values()].filter((node) => node.declaredBy === agentId).map(words);
  const declared = nodes.map((node) =>
    words({ ...node, attributes: readWish(node.attributes, "").attributes }),
  );
  const sort = (list: readonly (readonly unknown[])[]): readonly string[] =>
    list.map((item) => JSON.stringify(item)).sort();
  return isDeepStrictEqual(sort(committed), sort(declared));
}
