import type { StateView } from "../state/model.js";
import { balancerView } from "./balancer-view.js";
import { renderHaproxy } from "./haproxy/render.js";
import type { Rendering } from "./rendering.js";

/** Renders one balancer of the replicated configuration; null when there is none of that name. */
export function renderBalancer(state: StateView, name: string): Rendering | null {
  const view = balancerView(state, name);
  return view === null ? null : renderHaproxy(view);
}
