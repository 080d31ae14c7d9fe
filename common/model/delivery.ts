/** A rendered configuration on its way to one proxy. */
export type Bundle = {
  readonly balancer: string;
  readonly kind: "haproxy";
  /** Content hash of the files: what the proxy should run. */
  readonly generation: string;
  readonly files: readonly RenderedFile[];
  /** The log position that ordered it; older ones are refused. */
  readonly fencing: Fencing;
  /** A node was removed or failed over: do not wait for further changes. */
  readonly isUrgent: boolean;
};

export type RenderedFile = {
  /** `config`: the whole file or include file. `servers`: the lines for the seed's marker block. */
  readonly role: "config" | "servers";
  readonly text: string;
};

export type Fencing = { readonly term: number; readonly index: number };

export type ApplyOutcome = {
  readonly balancer: string;
  readonly wantedGeneration: string;
  /** On disk now. */
  readonly appliedGeneration: string;
  /** Seen in the running proxy; empty when it cannot be asked. */
  readonly observedGeneration: string;
  /** Empty when all went well. */
  readonly error: string;
  readonly warnings: readonly string[];
  readonly method: "reload" | "runtime" | "unchanged" | "restored" | "refused";
  readonly durationMs: number;
  readonly fencing: Fencing;
};
