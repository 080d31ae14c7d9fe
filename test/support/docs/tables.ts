/** A table whose rows begin with a key: `| `key` | … |`. */
export type KeyTable = {
  /** What a comment above says that it lists; null: nothing. */
  readonly place: string | null;
  /** Cells of each row by its key, the key's own cell first. */
  readonly rows: ReadonlyMap<string, readonly string[]>;
  readonly lineNumber: number;
};

/** Tables of a page that lists keys: those with a heading `Key`. `<!-- keys of PLACE -->` above names the place. */
export function tablesOf(text: string): readonly KeyTable[] {
  const tables: KeyTable[] = [];
  let place: string | null = null;
  let rows: Map<string, readonly string[]> | null = null;
  for (const [at, line] of text.split("\n").entries()) {
    const named = /^<!-- keys of (.+) -->$/.exec(line)?.[1];
    if (named !== undefined) place = named;
    const cells = line.startsWith("|")
      ? line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim())
      : null;
    if (cells === null) rows = null;
    else if (cells[0] === "Key") {
      rows = new Map();
      tables.push({ place, rows, lineNumber: at + 1 });
      place = null;
    } else if (rows !== null) {
      const key = /^`([a-z_]+)`$/.exec(cells[0] ?? "")?.[1];
      if (key !== undefined) rows.set(key, cells);
    }
  }
  return tables;
}
