import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Applied, AppliedSchema, Apply, ApplySchema } from "../../proto/gen/clusterduck/v1/agent_pb.js";
import type { ApplyOutcome, Bundle, RenderedFile } from "../model/delivery.js";
import { fromDuration, fromName, fromUint64, invalid, toUint64 } from "./values.js";

export function encodeBundle(bundle: Bundle): MessageInitShape<typeof ApplySchema> {
  return {
    balancer: bundle.balancer,
    kind: bundle.kind,
    generation: bundle.generation,
    files: bundle.files.map(({ role, text }) => ({ role, content: Buffer.from(text) })),
    fencingTerm: toUint64(bundle.fencing.term),
    fencingIndex: toUint64(bundle.fencing.index),
    isUrgent: bundle.isUrgent,
  };
}

/**
 * @throws ClusterduckError INVALID_ARGUMENT for a kind of proxy or of file that this program does not know,
 * and for text that is not UTF-8.
 */
export function decodeBundle(wire: Apply): Bundle {
  const balancer = fromName(wire.balancer, "a bundle's balancer");
  if (wire.kind !== "haproxy") {
    throw invalid(
      `the bundle for balancer "${balancer}" is of kind ${JSON.stringify(wire.kind)}, expected haproxy`,
    );
  }
  return {
    balancer,
    kind: wire.kind,
    generation: fromName(wire.generation, `the generation of balancer "${balancer}"`),
    files: wire.files.map((file): RenderedFile => {
      const { role } = file;
      if (role !== "config" && role !== "servers") {
        throw invalid(
          `a file of balancer "${balancer}" has the role ${JSON.stringify(role)}, expected config or servers`,
        );
      }
      return { role, text: decodeText(file.content, balancer) };
    }),
    fencing: {
      term: fromUint64(wire.fencingTerm, "the fencing term"),
      index: fromUint64(wire.fencingIndex, "the fencing index"),
    },
    isUrgent: wire.isUrgent,
  };
}

export function encodeOutcome(outcome: ApplyOutcome): MessageInitShape<typeof AppliedSchema> {
  return {
    balancer: outcome.balancer,
    wantedGeneration: outcome.wantedGeneration,
    appliedGeneration: outcome.appliedGeneration,
    observedGeneration: outcome.observedGeneration,
    error: outcome.error,
    warnings: [...outcome.warnings],
    method: outcome.method,
    durationMs: outcome.durationMs,
    fencingTerm: toUint64(outcome.fencing.term),
    fencingIndex: toUint64(outcome.fencing.index),
  };
}

/** @throws ClusterduckError INVALID_ARGUMENT for what no agent of ours sends. */
export function decodeOutcome(wire: Applied): ApplyOutcome {
  const balancer = fromName(wire.balancer, "an outcome's balancer");
  return {
    balancer,
    wantedGeneration: wire.wantedGeneration,
    appliedGeneration: wire.appliedGeneration,
    observedGeneration: wire.observedGeneration,
    error: wire.error,
    warnings: wire.warnings,
    method: decodeMethod(wire.method, balancer),
    durationMs: fromDuration(wire.durationMs, "an outcome's duration"),
    fencing: {
      term: fromUint64(wire.fencingTerm, "the fencing term"),
      index: fromUint64(wire.fencingIndex, "the fencing index"),
    },
  };
}

function decodeMethod(word: string, balancer: string): ApplyOutcome["method"] {
  switch (word) {
    case "reload":
    case "runtime":
    case "unchanged":
    case "restored":
    case "refused":
      return word;
    default:
      throw invalid(
        `the outcome of balancer "${balancer}" has the method ${JSON.stringify(word)}, expected reload, runtime, unchanged, restored or refused`,
      );
  }
}

function decodeText(content: Uint8Array, balancer: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    throw invalid(`a file of balancer "${balancer}" is not UTF-8`);
  }
}
