/** The terminal and the environment, as arguments, so that a test stands in for both. */
export type CliIo = {
  /** Data. */
  readonly out: (text: string) => void;
  /** Everything else. */
  readonly err: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether a person reads the data as it comes. */
  readonly isTerminal: boolean;
  readonly hasColours: boolean;
  /** Width of the terminal, columns. */
  readonly width: number;
  /** Asks one question; null where nobody can answer. */
  readonly ask: ((question: string) => Promise<string>) | null;
  /** Everything on standard input. */
  readonly readInput: () => Promise<string>;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
};
