import type { LogEntry, LogPosition } from "../log/replicated-log.js";
import { assertNever } from "../../common/errors.js";
import { agentFound, agentLost, removeAgent } from "./agents.js";
import { applyConfig } from "./apply-config.js";
import { decodeCommand } from "./codec.js";
import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED, Context, refused } from "./context.js";
import { applyCut } from "./cuts.js";
import { recordDelivery } from "./deliveries.js";
import { assertKnown, raiseFeatureLevel } from "./features.js";
import { addJoinToken, revokeJoinToken, setJoinSecret } from "./join-tokens.js";
import { removeMember, setMember } from "./members.js";
import type { EventRecord, StateView } from "./model.js";
import { addNode, declareNodes, removeNode, setOverlay } from "./nodes.js";
import { answerOfRepeat, rememberRequest } from "./requests.js";
import { finishRun, startRun } from "./runs.js";
import { settle } from "./settle.js";
import { decodeState, encodeState } from "./snapshot.js";
import { emptyState } from "./state.js";
import type { State } from "./state.js";

/** What applying one entry did; the same on every member. */
export type Applied = {
  readonly position: LogPosition;
  /** Null for the entries that the log writes for itself, and for a request that came again: it changes nothing. */
  readonly command: Command | null;
  readonly result: CommandResult;
  readonly events: readonly EventRecord[];
};

/**
 * The replicated state. Deterministic: the same entries give the same state, to the byte, on every member
 * and after every restart. It reads no clock: time is the entry's stamp, and never runs backwards.
 */
export class StateMachine {
  readonly #state: State = emptyState();

  /** Continues from a snapshot. @throws ClusterduckError VERSION_UNSUPPORTED or LOG_CORRUPT. */
  static restore(snapshot: Uint8Array): StateMachine {
    const machine = new StateMachine();
    machine.load(snapshot);
    return machine;
  }

  /** Live: it changes with every applied entry. */
  get view(): StateView {
    return this.#state;
  }

  /** Replaces everything by a snapshot; `view` stays the same object. @throws as `restore`. */
  load(snapshot: Uint8Array): void {
    Object.assign(this.#state, decodeState(snapshot));
  }

  /** @throws ClusterduckError VERSION_UNSUPPORTED: this member must stop, or it would differ from the others. */
  apply(entry: LogEntry): Applied {
    const { index, term } = entry;
    const state = this.#state;
    if (index !== state.index + 1) throw new Error(`Entry ${index} cannot follow entry ${state.index}`);
    const position = { index, term };
    if (entry.payload.length === 0) {
      Object.assign(state, position);
      return { position, command: null, result: ACCEPTED, events: [] };
    }
    const { command, by, atMs: stampMs, requestId } = decodeCommand(entry.payload, index);
    if (command.type === "raiseFeatureLevel") assertKnown(command);
    const atMs = Math.max(stampMs, state.atMs);
    Object.assign(state, position, { atMs });
    const repeated = requestId === undefined ? null : answerOfRepeat(state, requestId, command.type);
    if (repeated !== null) return { position, command: null, result: repeated, events: [] };
    const context = new Context(state, { index, term, atMs, by });
    const configured = state.config.value.clusters;
    const result = execute(context, command);
    const newClusters = Object.keys(state.config.value.clusters).filter(
      (name) => !Object.hasOwn(configured, name),
    );
    settle(context, new Set(newClusters));
    if (requestId !== undefined) rememberRequest(context, requestId, { command, result });
    return { position, command, result, events: context.events };
  }

  snapshot(): Uint8Array {
    const pieces = [...this.capture()];
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** The same in pieces, of the state as it is at this call: applying may go on between them. */
  capture(): Iterable<Uint8Array> {
    const { nodes, agents, panics, events, cuts, runs, deliveries, members, joinTokens, requests } =
      this.#state;
    // Records are never changed, so copies of the collections are a copy of the state.
    return encodeState({
      ...this.#state,
      nodes: new Map(nodes),
      agents: new Map(agents),
      panics: new Map(panics),
      events: [...events],
      cuts: [...cuts],
      runs: new Map(runs),
      deliveries: new Map(deliveries),
      members: new Map(members),
      joinTokens: new Map(joinTokens),
      requests: new Map(requests),
    });
  }
}

function execute(context: Context, command: Command): CommandResult {
  switch (command.type) {
    case "initialise":
      return initialise(context, command.clusterId);
    case "applyConfig":
      return applyConfig(context, command);
    case "addNode":
      return addNode(context, command);
    case "removeNode":
      return removeNode(context, command);
    case "declareNodes":
      return declareNodes(context, command);
    case "setOverlay":
      return setOverlay(context, command);
    case "cut":
      return applyCut(context, command);
    case "agentFound":
      return agentFound(context, command);
    case "agentLost":
      return agentLost(context, command);
    case "removeAgent":
      return removeAgent(context, command);
    case "startRun":
      return startRun(context, command);
    case "finishRun":
      return finishRun(context, command);
    case "recordDelivery":
      return recordDelivery(context, command);
    case "setMember":
      return setMember(context, command);
    case "removeMember":
      return removeMember(context, command);
    case "setJoinSecret":
      return setJoinSecret(context, command);
    case "addJoinToken":
      return addJoinToken(context, command);
    case "revokeJoinToken":
      return revokeJoinToken(context, command);
    case "closeRequest":
      return ACCEPTED;
    case "raiseFeatureLevel":
      return raiseFeatureLevel(context, command);
    default:
      return assertNever(command);
  }
}

function initialise(context: Context, clusterId: string): CommandResult {
  const { state } = context;
  if (state.clusterId !== "" && state.clusterId !== clusterId) {
    return refused("CONFLICT", `Cannot initialise as ${clusterId}: this tier is ${state.clusterId}`);
  }
  state.clusterId = clusterId;
  return ACCEPTED;
}
