import { createHash } from "node:crypto";

/*
 * The seed's marker blocks: in the user's own file, only the lines between `#<servers>` (or
 * `#<servers CLUSTER>`) and `#</servers>` are ours. The first of them is a header with a checksum over the
 * others, so that a person's edit inside is noticed and not overwritten. Nothing outside is touched: not a
 * byte, not a line ending.
 */

export type Marker = { readonly kind: "open"; readonly cluster: string | null } | { readonly kind: "close" };

const OPEN = /^#<servers(?:\s+([A-Za-z0-9_.:-]+))?\s*>$/;
const CLOSE = "#</servers>";
const HEADER = /^# clusterduck generation ([0-9a-f]{64}) checksum ([0-9a-f]{16})\b/;

export function readMarker(line: string): Marker | null {
  if (!line.startsWith("#<")) return null;
  if (line === CLOSE) return { kind: "close" };
  const match = OPEN.exec(line);
  return match === null ? null : { kind: "open", cluster: match[1] ?? null };
}

export function isHeaderLine(line: string): boolean {
  return HEADER.test(line);
}

/** One block as it stands in a file. */
export type FoundBlock = {
  readonly cluster: string | null;
  /** Line number of the opening marker, from 1. */
  readonly lineNumber: number;
  /** What the header says; null without a header. */
  readonly header: { readonly generation: string; readonly checksum: string } | null;
  /** Checksum of the lines that are there now. */
  readonly checksum: string;
  readonly isEmpty: boolean;
  readonly indentation: string;
  readonly lineEnding: string;
  /** Positions in the text: first byte after the opening line, first byte of the closing line. */
  readonly start: number;
  readonly end: number;
};

export type BlockSearch =
  | { readonly kind: "found"; readonly blocks: readonly FoundBlock[] }
  | { readonly kind: "broken"; readonly problem: string };

/** Finds the blocks of a file, in order. */
export function findBlocks(text: string): BlockSearch {
  const blocks: FoundBlock[] = [];
  let open: { line: string; number: number; cluster: string | null; start: number; body: string[] } | null =
    null;
  let position = 0;
  let number = 0;
  for (const line of text.split(/(?<=\n)/)) {
    number++;
    const marker = readMarker(line.trim());
    if (marker?.kind === "open") {
      if (open !== null)
        return broken(`line ${number} opens a marker block inside the one of line ${open.number}`);
      open = { line, number, cluster: marker.cluster, start: position + line.length, body: [] };
    } else if (marker?.kind === "close") {
      if (open === null) return broken(`line ${number} is "${CLOSE}" without a "#<servers>" before it`);
      blocks.push(blockOf(open, position));
      open = null;
    } else {
      open?.body.push(line.trim());
    }
    position += line.length;
  }
  if (open !== null) return broken(`the marker block that opens at line ${open.number} has no "${CLOSE}"`);
  if (blocks.length === 0) {
    return broken(`it has no marker block: add the lines "#<servers>" and "${CLOSE}" to a backend`);
  }
  return { kind: "found", blocks };
}

function broken(problem: string): BlockSearch {
  return { kind: "broken", problem };
}

function blockOf(
  open: { line: string; number: number; cluster: string | null; start: number; body: string[] },
  end: number,
): FoundBlock {
  const header = HEADER.exec(open.body[0] ?? "");
  const lines = (header === null ? open.body : open.body.slice(1)).filter((line) => line !== "");
  return {
    cluster: open.cluster,
    lineNumber: open.number,
    header: header === null ? null : { generation: header[1] ?? "", checksum: header[2] ?? "" },
    checksum: checksumOf(lines),
    isEmpty: lines.length === 0,
    indentation: /^[ \t]*/.exec(open.line)?.[0] ?? "",
    lineEnding: open.line.endsWith("\r\n") ? "\r\n" : "\n",
    start: open.start,
    end,
  };
}

/** Indentation and line endings may change without anybody having edited anything. */
function checksumOf(lines: readonly string[]): string {
  return createHash("sha256").update(lines.join("\n")).digest("hex").slice(0, 16);
}

/** Reads the text of a bundle with role `servers`: the server lines of each cluster. */
export function readBundleBlocks(text: string): ReadonlyMap<string, readonly string[]> {
  const clusters = new Map<string, string[]>();
  let lines: string[] | null = null;
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    const marker = readMarker(line);
    if (marker?.kind === "open") clusters.set(marker.cluster ?? "", (lines = []));
    else if (marker?.kind === "close") lines = null;
    else if (line !== "") lines?.push(line);
  }
  return clusters;
}

export type Replacement =
  | { readonly kind: "replaced"; readonly text: string; readonly adopted: readonly string[] }
  | { readonly kind: "refused"; readonly problem: string };

/**
 * Puts new server lines into a file. Lines without our header are taken over when nobody else can have
 * meant them to stay: in a file that we never wrote, when they are empty, or when they are what we took
 * over before (`adopted`, from an earlier call; null: never).
 */
export function replaceBlocks(
  text: string,
  wanted: ReadonlyMap<string, readonly string[]>,
  options: { readonly generation: string; readonly adopted: readonly string[] | null },
): Replacement {
  const search = findBlocks(text);
  if (search.kind === "broken") return { kind: "refused", problem: search.problem };
  const adopted = new Set(options.adopted ?? []);
  const filled = new Set<string>();
  const parts: string[] = [];
  let position = 0;
  for (const block of search.blocks) {
    const cluster = clusterOf(block, wanted);
    if (cluster.kind === "refused") return cluster;
    const problem = editOf(block, options.adopted);
    if (problem !== null) return { kind: "refused", problem };
    if (block.header === null) adopted.add(block.checksum);
    filled.add(cluster.name);
    parts.push(
      text.slice(position, block.start),
      contentOf(block, wanted.get(cluster.name) ?? [], options.generation),
    );
    position = block.end;
  }
  for (const name of wanted.keys()) {
    if (!filled.has(name)) {
      return {
        kind: "refused",
        problem: `it has no marker block for cluster "${name}": add "#<servers ${name}>" and "${CLOSE}" to a backend`,
      };
    }
  }
  parts.push(text.slice(position));
  return { kind: "replaced", text: parts.join(""), adopted: [...adopted] };
}

function clusterOf(
  block: FoundBlock,
  wanted: ReadonlyMap<string, readonly string[]>,
):
  { readonly kind: "named"; readonly name: string } | { readonly kind: "refused"; readonly problem: string } {
  const names = [...wanted.keys()];
  const [only] = names;
  if (block.cluster === null) {
    if (names.length === 1 && only !== undefined) return { kind: "named", name: only };
    const problem = `the block at line ${block.lineNumber} names no cluster, and the balancer has ${names.length}: write "#<servers CLUSTER>" with one of ${names.join(", ")}`;
    return { kind: "refused", problem };
  }
  if (wanted.has(block.cluster)) return { kind: "named", name: block.cluster };
  const problem = `the block at line ${block.lineNumber} names cluster "${block.cluster}", which the balancer does not serve: use one of ${names.join(", ")}`;
  return { kind: "refused", problem };
}

/** What a person did to a block, if anything; null when it is ours to replace. */
export function editOf(block: FoundBlock, adopted: readonly string[] | null): string | null {
  if (block.isEmpty) return null;
  if (block.header !== null && block.header.checksum === block.checksum) return null;
  if (block.header === null && (adopted === null || adopted.includes(block.checksum))) return null;
  return (
    `the lines between the markers at line ${block.lineNumber} were edited by hand: move your lines outside ` +
    "the markers, and empty the block to give it back"
  );
}

function contentOf(block: FoundBlock, lines: readonly string[], generation: string): string {
  const header = `# clusterduck generation ${generation} checksum ${checksumOf(lines)}: edit outside the markers only`;
  return [header, ...lines].map((line) => `${block.indentation}${line}${block.lineEnding}`).join("");
}
