import { nodeKey } from "../../common/model/node.js";
import type { NodeRef, NodeState } from "../../common/model/node.js";
import { keepLast, MAX_EVENTS } from "./bounds.js";
import type { CommandResult } from "./commands.js";
import type { EventRecord, EventType, NodeRecord } from "./model.js";
import { activeAddrs, sparesMissing } from "./state.js";
import type { State } from "./state.js";

/** What happened to the set of a cluster's nodes in one entry. */
export type ClusterChange = {
  /** Active addresses before the entry, sorted. */
  readonly activeBefore: readonly string[];
  /** Healthy spares missing before the entry. */
  readonly sparesMissingBefore: number;
  readonly added: string[];
  readonly removed: string[];
  /** Attributes changed. */
  readonly changed: string[];
};

export type NodeTransition = NodeRef & {
  readonly from: NodeState;
  readonly to: NodeState;
  readonly cause: string;
};

export type NewEvent = {
  readonly type: EventType;
  readonly cluster?: string;
  readonly addr?: string;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
};

/**
 * One entry being applied: the state, the entry's stamp, and what it has changed so far. All changes of
 * nodes go through here, so that what follows from them (spares, panic, events, triggers) is decided
 * once, at the end of the entry.
 */
export class Context {
  readonly state: State;
  readonly index: number;
  readonly term: number;
  readonly atMs: number;
  readonly by: string;
  readonly events: EventRecord[] = [];
  readonly transitions: NodeTransition[] = [];
  readonly #changes = new Map<string, ClusterChange>();

  constructor(
    state: State,
    stamp: { readonly index: number; readonly term: number; readonly atMs: number; readonly by: string },
  ) {
    this.state = state;
    this.index = stamp.index;
    this.term = stamp.term;
    this.atMs = stamp.atMs;
    this.by = stamp.by;
  }

  /** Clusters whose nodes or rules this entry touched, sorted by name. */
  changes(): readonly (readonly [string, ClusterChange])[] {
    return [...this.#changes].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Must come before the first change to a cluster: it notes what was active until now. */
  touch(cluster: string): ClusterChange {
    const known = this.#changes.get(cluster);
    if (known !== undefined) return known;
    const change: ClusterChange = {
      activeBefore: activeAddrs(this.state, cluster),
      sparesMissingBefore: sparesMissing(this.state, cluster),
      added: [],
      removed: [],
      changed: [],
    };
    this.#changes.set(cluster, change);
    return change;
  }

  addNode(node: NodeRecord): void {
    this.touch(node.cluster).added.push(node.addr);
    this.state.nodes.set(nodeKey(node), node);
  }

  replaceNode(node: NodeRecord): void {
    this.touch(node.cluster);
    this.state.nodes.set(nodeKey(node), node);
  }

  removeNode(node: NodeRef): void {
    this.touch(node.cluster).removed.push(node.addr);
    this.state.nodes.delete(nodeKey(node));
  }

  emit(event: NewEvent): EventRecord {
    const record: EventRecord = {
      index: this.index,
      term: this.term,
      ordinal: this.events.length,
      type: event.type,
      atMs: this.atMs,
      cluster: event.cluster ?? "",
      addr: event.addr ?? "",
      message: event.message,
      data: event.data ?? {},
    };
    this.events.push(record);
    this.state.events.push(record);
    keepLast(this.state.events, MAX_EVENTS);
    return record;
  }
}

export const ACCEPTED: CommandResult = { isAccepted: true };

export function refused(
  code: Extract<CommandResult, { isAccepted: false }>["code"],
  message: string,
): CommandResult {
  return { isAccepted: false, code, message };
}
