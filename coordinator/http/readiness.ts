import type { ControlContext } from "../api/context.js";

export type ReadinessCheck = { readonly name: string; readonly isOk: boolean; readonly detail: string };

/** What must hold before a coordinator is worth asking. Proxies do not depend on it: they keep what they have. */
export function readinessOf({
  log,
  replica,
  tier,
}: Pick<ControlContext, "log" | "replica" | "tier">): readonly ReadinessCheck[] {
  const { leaderId, term } = log.leadership();
  const { commitIndex } = log.status();
  return [
    {
      name: "leader",
      isOk: leaderId !== null,
      detail: leaderId === null ? tier.noLeaderWords().message : `${leaderId} in term ${term}`,
    },
    {
      name: "log",
      isOk: replica.state.index >= commitIndex,
      detail: `applied ${replica.state.index} of ${commitIndex}`,
    },
    {
      name: "config",
      isOk: replica.state.config.revision > 0,
      detail: replica.state.config.revision > 0 ? `revision ${replica.state.config.revision}` : "none yet",
    },
  ];
}
