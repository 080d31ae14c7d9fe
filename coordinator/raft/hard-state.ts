/**
 * What a member must never forget: its term, and whom it voted for in that term (Raft paper, figure 2).
 * `commit` lags and is only a head start after a restart.
 */
export type HardState = { readonly term: number; readonly vote: string | null; readonly commit: number };

export const NO_HARD_STATE: HardState = { term: 0, vote: null, commit: 0 };
