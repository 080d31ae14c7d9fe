/** The value below which this share of the values lies, nearest rank; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function rounded(value: number, digits = 1): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}

/** Columns aligned for a terminal; the first one to the left, the others to the right. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [line(header), ...rows.map(line), ""].join("\n");
}

/** `--name value` and `--flag` of a bench's command line. @throws Error for what it does not know. */
export function readOptions<Name extends string>(
  args: readonly string[],
  defaults: Readonly<Record<Name, number>>,
): { readonly numbers: Readonly<Record<Name, number>>; readonly isJson: boolean } {
  const numbers: Record<string, number> = { ...defaults };
  let isJson = false;
  for (let at = 0; at < args.length; at++) {
    const name = args[at]?.replace(/^--/, "") ?? "";
    if (name === "json") {
      isJson = true;
      continue;
    }
    const value = Number(args[at + 1]);
    if (!Object.hasOwn(defaults, name) || !Number.isFinite(value)) {
      const known = Object.keys(defaults).map((each) => `--${each} NUMBER`);
      throw new Error(`Unknown option "${args[at] ?? ""}": expected ${known.join(", ")} or --json`);
    }
    numbers[name] = value;
    at += 1;
  }
  return { numbers: numbers as Record<Name, number>, isJson };
}
