import { nodeKey } from "../../common/model/node.js";
import type { Transition } from "../../common/model/cut.js";
import { keepLast, MAX_CUTS } from "./bounds.js";
import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED, refused } from "./context.js";
import type { Context } from "./context.js";
import { dampingAfter } from "./damping.js";
import type { NodeRecord } from "./model.js";
import { heldStateOf } from "./state.js";

/**
 * Applies the transitions that still fit: those whose node is the one that was judged (its epoch) and in
 * the state it was judged in. The others were overtaken and are left out of the record.
 */
export function applyCut(context: Context, command: Extract<Command, { type: "cut" }>): CommandResult {
  const { index, term, atMs } = context;
  if (command.term !== undefined && command.term !== term) {
    return refused("CONFLICT", `The cut was decided in term ${command.term}, and it is term ${term} now`);
  }
  const applied: Transition[] = [];
  for (const transition of command.transitions) {
    const node = context.state.nodes.get(nodeKey(transition.node));
    if (node === undefined || !fits(node, transition)) continue;
    applied.push(transition);
    change(context, node, transition);
  }
  if (applied.length === 0) {
    const count = command.transitions.length;
    const message = `None of the cut's ${count} transitions fits: their nodes have changed or are gone`;
    return refused("CONFLICT", message);
  }
  context.state.cuts.push({ index, term, atMs, transitions: applied });
  keepLast(context.state.cuts, MAX_CUTS);
  return ACCEPTED;
}

function fits(node: NodeRecord, transition: Transition): boolean {
  if (node.epoch !== transition.epoch || node.state !== transition.from) return false;
  // A death that has become certain is a change too; merely saying the same again is not.
  return transition.from !== transition.to || node.isConclusive !== transition.isConclusive;
}

function change(context: Context, node: NodeRecord, transition: Transition): void {
  const { from, to, cause, isConclusive } = transition;
  const hasMoved = from !== to;
  context.replaceNode({
    ...node,
    state: to,
    heldState: to === "unknown" ? node.heldState : to,
    cause,
    isConclusive,
    sinceMs: hasMoved ? context.atMs : node.sinceMs,
    cutIndex: context.index,
    damping: hasMoved ? dampingAfter(node.damping, heldStateOf(node), to, context.atMs) : node.damping,
  });
  const { cluster, addr } = node;
  // Knowing again what was held all along is no change to act on.
  const isNews = hasMoved && heldStateOf(node) !== to;
  if (isNews) context.transitions.push({ cluster, addr, from, to, cause });
  context.emit({
    type: "state",
    cluster,
    addr,
    message: hasMoved
      ? `${from} → ${to}: ${cause}`
      : `${to}, now ${isConclusive ? "certain" : "doubtful"}: ${cause}`,
    data: { from, to, cause, isConclusive },
  });
}
