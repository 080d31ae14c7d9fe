/** When a gathered cut is committed. Nodes that fail together should leave together: one cut, one reload. */

export type Gathering = {
  /** Arrival of the first and of the newest change that waits. Monotonic milliseconds. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** Arrival of the first conclusive death that waits; null: none does. */
  readonly firstConclusiveAtMs: number | null;
  readonly changes: number;
  /** Other nodes accused lately and not decided yet. */
  readonly undecided: number;
  /** Those of them that were accused a moment ago: they may be dying of the same cause. */
  readonly dying: number;
};

export const BATCHING = {
  /** Silence after which a single change goes. */
  quietMs: 5,
  /** The same once two or more came together, for then a third is likely. */
  quietTogetherMs: 25,
  /** A certain death waits no longer than this, and only while others seem to die with it. */
  conclusiveMaxMs: 150,
  /** Nothing waits longer than this. */
  maxMs: 250,
} as const;

/** Monotonic milliseconds at which the cut must go. */
export function cutDueAtMs(gathering: Gathering): number {
  const { firstAtMs, lastAtMs, firstConclusiveAtMs, changes, undecided, dying } = gathering;
  const isAlone = changes === 1 && undecided === 0;
  const quietAtMs = lastAtMs + (isAlone ? BATCHING.quietMs : BATCHING.quietTogetherMs);
  if (firstConclusiveAtMs !== null) {
    const limitMs = firstConclusiveAtMs + BATCHING.conclusiveMaxMs;
    return dying > 0 ? limitMs : Math.min(quietAtMs, limitMs);
  }
  const limitMs = firstAtMs + BATCHING.maxMs;
  return undecided > 0 ? limitMs : Math.min(quietAtMs, limitMs);
}
