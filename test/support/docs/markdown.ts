/** The little of Markdown that the documentation's tests read: fenced blocks, headings and links. */
export type Block = {
  /** First word of the info string: `console`, `yaml`, … */
  readonly language: string;
  /** The other words of it. */
  readonly words: readonly string[];
  readonly lines: readonly string[];
  /** Line number of the opening fence, from 1. */
  readonly lineNumber: number;
};

export type Link = { readonly target: string; readonly lineNumber: number };

export function blocksOf(text: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { fence: string; info: string; lines: string[]; lineNumber: number } | null = null;
  for (const [at, line] of text.split("\n").entries()) {
    const match = /^ {0,3}(`{3,})(.*)$/.exec(line);
    if (open === null) {
      if (match !== null)
        open = { fence: match[1] ?? "", info: (match[2] ?? "").trim(), lines: [], lineNumber: at + 1 };
    } else if (line.trim() === open.fence) {
      const [language = "", ...words] = open.info.split(/\s+/);
      blocks.push({ language, words, lines: open.lines, lineNumber: open.lineNumber });
      open = null;
    } else {
      open.lines.push(line);
    }
  }
  if (open !== null) throw new Error(`the block that opens at line ${open.lineNumber} is never closed`);
  return blocks;
}

/** Links outside of blocks and code spans. */
export function linksOf(text: string): readonly Link[] {
  return proseOf(text).flatMap(({ line, lineNumber }) =>
    [...line.replaceAll(/`[^`]*`/g, "").matchAll(/\]\(([^()\s]+)\)/g)].map((match) => ({
      target: match[1] ?? "",
      lineNumber,
    })),
  );
}

/** What a link's `#…` may name in a page, made as GitHub makes it. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const headings = proseOf(text).flatMap(({ line }) => /^#{1,6}\s+(.*)$/.exec(line)?.[1] ?? []);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_\- ]/gu, "")
        .trim()
        .replaceAll(" ", "-"),
    ),
  );
}

function proseOf(text: string): readonly { readonly line: string; readonly lineNumber: number }[] {
  let fence: string | null = null;
  return text.split("\n").flatMap((line, at) => {
    const mark = /^ {0,3}(`{3,})/.exec(line)?.[1];
    if (mark !== undefined && (fence === null || line.trim() === fence)) {
      fence = fence === null ? mark : null;
      return [];
    }
    return fence === null ? [{ line, lineNumber: at + 1 }] : [];
  });
}
