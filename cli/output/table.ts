import { stripVTControlCharacters } from "node:util";

const GAP = "  ";
/** Narrower than this, a shortened column says nothing. Columns of a terminal. */
const LAST_COLUMN_MIN = 20;
/** What terminals draw twice as wide: most of East Asia's scripts, and pictures. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/**
 * Columns under upper-case headers, two spaces apart, without lines: easy to read and to cut with awk.
 * @param maxWidth Columns of the terminal: the last column is shortened to fit. Null: nothing is shortened.
 */
export function formatTable(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  maxWidth: number | null = null,
): string {
  const cells = [headers, ...rows.map((row) => row.map(oneLine))].map((row) => row.map(measure));
  const widths = headers.map((_header, at) =>
    cells.reduce((widest, row) => Math.max(widest, row[at]?.width ?? 0), 0),
  );
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, 0);
  const room = maxWidth === null ? Infinity : Math.max(LAST_COLUMN_MIN, maxWidth - before);
  return cells.map((row) => formatRow(row, widths, room)).join("");
}

type Cell = { readonly text: string; readonly width: number };

function formatRow(row: readonly Cell[], widths: readonly number[], room: number): string {
  const parts = row.map((cell, at) =>
    at === widths.length - 1
      ? shorten(cell, room)
      : cell.text + " ".repeat(Math.max(0, (widths[at] ?? 0) - cell.width)),
  );
  return `${parts.join(GAP).trimEnd()}\n`;
}

/** A value with line breaks would tear the table apart, and other control characters the terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]\s*/g, " ").replaceAll(/[\u0000-\u001a\u001c-\u001f\u007f]/g, " ");
}

function measure(text: string): Cell {
  return { text, width: displayWidth(text) };
}

/** Columns that a text takes in a terminal; colours take none. */
export function displayWidth(text: string): number {
  if (/^[\u0020-\u007e]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of stripVTControlCharacters(text)) {
    if (/\p{Mark}|\u200d/u.test(character)) continue;
    width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}

function shorten(cell: Cell, room: number): string {
  if (cell.width <= room) return cell.text;
  let kept = "";
  let width = 0;
  for (const character of stripVTControlCharacters(cell.text)) {
    width += displayWidth(character);
    if (width > room - 1) break;
    kept += character;
  }
  return `${kept}…`;
}
