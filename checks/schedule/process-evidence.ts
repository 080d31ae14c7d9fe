/**
 * exited: every process known to serve the address has ended and nobody listens there now.
 * running: one of them lives, or somebody listens. unknown: not on this host, or we may not look.
 */
export type ProcessEvidence = "exited" | "running" | "unknown";

/** Knows which processes of this host serve which addresses. Addresses are canonical texts. */
export interface ProcessWatcher {
  /** The addresses to know from now on; those that can be learned are, in the background. */
  watch(addresses: readonly string[]): void;
  /** The service at the address was seen alive after it was not: whoever serves it may be new. */
  relearn(address: string): void;
  /** Reads a few small files of the kernel and returns; many calls in one turn share the reading. */
  evidence(address: string): { readonly state: ProcessEvidence; readonly detail: string };
  close(): void;
}
