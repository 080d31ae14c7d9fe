/** What the tier has committed about a node. */
export type NodeState = "unknown" | "healthy" | "degraded" | "down";

/** An operator's word, above any verdict. */
export type OverlayKind = "disabled" | "drain" | "maintenance" | "spare";

export type Overlay = {
  readonly kind: OverlayKind;
  readonly reason: string;
  /** Leader's time (Unix milliseconds) at which the overlay ends by itself; null: never. */
  readonly untilMs: number | null;
};

/** Free attributes of a node (weight, maxconn, cookie, backup, ...), as the user wrote them. */
export type NodeAttributes = Readonly<Record<string, string | number | boolean>>;

export type NodeRef = { readonly cluster: string; readonly addr: string };

/** `cluster/addr`, unique: cluster names hold no slash. */
export type NodeKey = string;

export function nodeKey(node: NodeRef): NodeKey {
  return `${node.cluster}/${node.addr}`;
}

/** Where a node came from: only nodes of the file follow the file. */
export type NodeSource = "file" | "api" | "agent";
