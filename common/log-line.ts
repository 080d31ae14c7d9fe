import { styleText } from "node:util";

const COLOURS = { debug: "dim", info: "green", warn: "yellow", error: "red" } as const;
/** Keys that stand at the front of a line, or are known to whoever looks at this terminal. */
const HEAD = new Set(["level", "time", "program", "part", "event"]);

/**
 * A JSON log line as people read it: `14:03:22.115 warn  health: node.state_changed node=10.0.0.2:80 to=down`.
 * What is not a JSON object is passed on as it is.
 */
export function formatLogLine(json: string, hasColours: boolean): string {
  const line = parse(json);
  if (line === null) return json;
  const level = typeof line["level"] === "string" ? line["level"] : "info";
  const part = typeof line["part"] === "string" ? `${line["part"]}: ` : "";
  const fields = Object.entries(line)
    .filter(([key]) => !HEAD.has(key))
    .map(([key, value]) => ` ${paint("dim", `${key}=`)}${format(value)}`)
    .join("");
  const colour = level in COLOURS ? COLOURS[level as keyof typeof COLOURS] : "dim";
  const clock = typeof line["time"] === "string" ? line["time"].slice(11, 23) : "";
  return `${paint("dim", clock)} ${paint(colour, level.padEnd(5))} ${part}${text(line["event"])}${fields}\n`;

  function paint(style: "dim" | "green" | "yellow" | "red", content: string): string {
    return hasColours ? styleText(style, content, { validateStream: false }) : content;
  }
}

function parse(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : format(value);
}

/** Bare where nothing can be misread; quoted like JSON otherwise, which also disarms control characters. */
function format(value: unknown): string {
  if (typeof value === "string" && /^[\p{L}\p{N}_.:/@%+[\]-]+$/u.test(value)) return value;
  return JSON.stringify(value) ?? "undefined";
}
