import type { Command, CommandResult } from "./commands.js";
import { ACCEPTED } from "./context.js";
import type { Context } from "./context.js";

/** Notes how a balancer's target stands; an event only when that is news. */
export function recordDelivery(
  context: Context,
  { delivery }: Extract<Command, { type: "recordDelivery" }>,
): CommandResult {
  const { balancer, target, wantedGeneration, appliedGeneration, error } = delivery;
  const key = `${balancer}@${target}`;
  const before = context.state.deliveries.get(key);
  context.state.deliveries.set(key, { ...delivery, atMs: context.atMs });
  const isConverged = error === "" && wantedGeneration === appliedGeneration;
  const data = { balancer, target, wantedGeneration, appliedGeneration };
  if (error !== "" && (before?.error !== error || before.wantedGeneration !== wantedGeneration)) {
    const message = `Balancer "${balancer}" at "${target}" did not take its configuration: ${error}`;
    context.emit({ type: "delivery.failed", message, data: { ...data, error } });
  }
  const wasConvergedHere = before?.error === "" && before.appliedGeneration === appliedGeneration;
  if (isConverged && !wasConvergedHere) {
    const message = `Balancer "${balancer}" at "${target}" runs generation ${appliedGeneration}`;
    context.emit({ type: "delivery.converged", message, data });
  }
  return ACCEPTED;
}
