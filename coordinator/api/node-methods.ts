import { ClusterduckError } from "../../common/errors.js";
import { readNodeAttributes } from "../../common/config/node-attributes.js";
import { canonicalAddress } from "../../common/model/address.js";
import { nodeKey } from "../../common/model/node.js";
import type { NodeRef, Overlay, OverlayKind } from "../../common/model/node.js";
import type { ServiceHandlers } from "../../common/grpc/service.js";
import type { ControlService } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { Command } from "../state/commands.js";
import type { NodeRecord, RequestRecord } from "../state/model.js";
import type { ControlContext } from "./context.js";
import { nodesInOrder, readNodeRef, requireCluster, requireNode } from "./lookup.js";
import { askerOf, once, proposeFor } from "./propose.js";
import type { Asker } from "./propose.js";
import { nodeView } from "./views/node.js";
import { foundInNewest, upToDate } from "./up-to-date.js";

type NodeMethods = Pick<
  ServiceHandlers<typeof ControlService>,
  "listNodes" | "addNode" | "removeNode" | "setNodeIntent"
>;

/** Overlays that an intent sets, and those that its opposite ends. */
const INTENTS: Readonly<
  Record<string, { readonly set: OverlayKind } | { readonly end: readonly OverlayKind[] }>
> = {
  enable: { end: ["disabled", "drain", "maintenance", "spare"] },
  disable: { set: "disabled" },
  drain: { set: "drain" },
  undrain: { end: ["drain"] },
  maintenance: { set: "maintenance" },
  "end-maintenance": { end: ["maintenance"] },
};
/** A year: longer ones are mistakes. Milliseconds. */
const DURATION_MAX_MS = 366 * 86_400_000;
const REASON_MAX_CHARS = 500;

export function nodeMethods(context: ControlContext): NodeMethods {
  const { replica } = context;
  return {
    listNodes: async (request) => {
      await upToDate(replica, request);
      if (request.cluster !== "") requireCluster(replica.state, request.cluster);
      const nodes = nodesOf(context, request);
      return { nodes: nodes.map((node) => nodeView(node, context)), index: BigInt(replica.state.index) };
    },

    addNode: async (request, call) => {
      const asker = askerOf(request, call);
      const node = readNodeRef(request.node);
      const attributes = readNodeAttributes(request.attributes ?? {});
      const { isIdempotent } = request;
      const command = { type: "addNode", node, attributes, isIdempotent } as const;
      const answer = ({ index, node: record }: Changed) => ({
        node: nodeView(record, context),
        index: BigInt(index),
        isUnchanged: record.epoch !== index,
      });
      return once(
        replica,
        { ...asker, type: command.type },
        async () => {
          await foundInNewest(replica, () => requireCluster(replica.state, node.cluster));
          return answer(await proposeOf(context, asker, command));
        },
        (first) => answer(recalled(context, node, first)),
      );
    },

    removeNode: async (request, call) => {
      const asker = askerOf(request, call);
      const node = readNodeRef(request.node);
      const command = { type: "removeNode", node, reason: "removed by an operator" } as const;
      return once(
        replica,
        { ...asker, type: command.type },
        async () => {
          await foundInNewest(replica, () => requireNode(replica.state, node));
          return { index: BigInt(await proposeFor(context, asker, command)) };
        },
        ({ index }) => ({ index: BigInt(index) }),
      );
    },

    setNodeIntent: async (request, call) => {
      const asker = askerOf(request, call);
      const node = readNodeRef(request.node);
      // "It is so already" is an answer that no entry of the log stands for, as is what an intent leaves alone.
      await replica.readBarrier();
      const answer = ({ index, node: record }: Changed) => ({
        node: nodeView(record, context),
        index: BigInt(index),
      });
      return once(
        replica,
        { ...asker, type: "setOverlay" },
        async () => {
          const record = requireNode(replica.state, node);
          const overlay = overlayFor(request, record, context.clock.wallMs());
          if (isSameOverlay(overlay, record.overlay)) {
            return { ...answer({ index: replica.state.index, node: record }), isUnchanged: true };
          }
          return answer(await proposeOf(context, asker, { type: "setOverlay", node, overlay }));
        },
        (first) => answer(recalled(context, node, first)),
      );
    },
  };
}

/** What a change made of a node. */
type Changed = { readonly index: number; readonly node: NodeRecord };

function recalled({ replica }: ControlContext, ref: NodeRef, first: RequestRecord): Changed {
  const { index, node } = first;
  const now = replica.state.nodes.get(nodeKey(ref));
  if (node === undefined) return { index, node: requireNode(replica.state, ref) };
  return { index, node: { ...node, attributes: now?.attributes ?? {} } };
}

/** Commits a change of a node, and tells what it made of the node: by now others may have changed or removed it. */
async function proposeOf(
  context: ControlContext,
  asker: Asker,
  command: Extract<Command, { readonly type: "addNode" | "setOverlay" }>,
): Promise<Changed> {
  const { replica } = context;
  const key = nodeKey(command.node);
  const made = new Map<number, NodeRecord>();
  const unsubscribe = replica.onApplied(({ position, command: applied }) => {
    const isOfNode = applied?.type === "addNode" || applied?.type === "setOverlay";
    if (!isOfNode || nodeKey(applied.node) !== key) return;
    const record = replica.state.nodes.get(key);
    if (record !== undefined) made.set(position.index, record);
  });
  try {
    const index = await proposeFor(context, asker, command);
    const node = made.get(index);
    if (node !== undefined) return { index, node };
    const first = replica.state.requests.get(asker.requestId);
    if (first !== undefined) return recalled(context, command.node, first);
    return { index, node: requireNode(replica.state, command.node) };
  } finally {
    unsubscribe();
  }
}

function nodesOf({ replica }: ControlContext, wanted: NodeRef): readonly NodeRecord[] {
  const { state } = replica;
  if (wanted.addr === "") return nodesInOrder(state, wanted.cluster);
  if (wanted.cluster !== "") return [requireNode(state, readNodeRef(wanted))];
  const addr = canonicalAddress(wanted.addr);
  return Object.keys(state.config.value.clusters)
    .sort()
    .flatMap((cluster) => state.nodes.get(nodeKey({ cluster, addr })) ?? []);
}

function isSameOverlay(left: Overlay | null, right: Overlay | null): boolean {
  return left?.kind === right?.kind && left?.reason === right?.reason && left?.untilMs === right?.untilMs;
}

function overlayFor(
  request: { readonly intent: string; readonly reason: string; readonly durationMs: number },
  record: NodeRecord,
  nowMs: number,
): Overlay | null {
  const intent = Object.hasOwn(INTENTS, request.intent) ? INTENTS[request.intent] : undefined;
  if (intent === undefined) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Unknown intent ${JSON.stringify(request.intent)}: expected one of ${Object.keys(INTENTS).join(", ")}`,
    );
  }
  if (!(request.durationMs >= 0 && request.durationMs <= DURATION_MAX_MS)) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Invalid duration ${request.durationMs} ms: expected 0 to a year`,
    );
  }
  if (request.reason.length > REASON_MAX_CHARS || /\p{Cc}/u.test(request.reason)) {
    throw new ClusterduckError(
      "INVALID_ARGUMENT",
      `Invalid reason: expected one line of at most ${REASON_MAX_CHARS} characters`,
    );
  }
  if ("end" in intent) {
    return record.overlay !== null && intent.end.includes(record.overlay.kind) ? null : record.overlay;
  }
  const untilMs = request.durationMs === 0 ? null : Math.round(nowMs + request.durationMs);
  return { kind: intent.set, reason: request.reason, untilMs };
}
