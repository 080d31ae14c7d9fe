/** Handing leadership to a voter. Ends with the leadership, so an interrupted one leaves nothing behind. */
export class Transfer {
  readonly to: string;
  readonly #maxTicks: number;
  #ageTicks = 0;
  #isToldToCampaign = false;

  constructor(to: string, maxTicks: number) {
    this.to = to;
    this.#maxTicks = maxTicks;
  }

  /** Whether it has taken too long: the successor may be gone, and proposals must not wait for it for ever. */
  get isOver(): boolean {
    return this.#ageTicks >= this.#maxTicks;
  }

  tick(): void {
    this.#ageTicks++;
  }

  /** Whether the successor has everything now and should be told, which happens once. */
  isDue(match: number, last: number): boolean {
    if (this.#isToldToCampaign || match < last) return false;
    this.#isToldToCampaign = true;
    return true;
  }
}

export type Successor = { readonly id: string; readonly match: number };

/** The one who lacks least; among equals the first. */
export function pickSuccessor(candidates: readonly Successor[]): Successor | null {
  return candidates.reduce<Successor | null>(
    (best, candidate) => (best === null || candidate.match > best.match ? candidate : best),
    null,
  );
}
