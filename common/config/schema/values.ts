import { z } from "zod";
import { formatDuration, parseDuration } from "../../duration.js";
import type { DurationLimits } from "../../duration.js";
import { messageOf } from "../../errors.js";
import { canonicalAddress } from "../../model/address.js";
import type { ListenConfig } from "../model.js";

/* Single values that several parts of the configuration share. */

const DAY_MS = 86_400_000;

/** A number of milliseconds or a text such as `1m30s`. Produces milliseconds. */
export function duration(limits: Partial<DurationLimits> = {}) {
  const bounds: DurationLimits = { minMs: limits.minMs ?? 0, maxMs: limits.maxMs ?? 3_650 * DAY_MS };
  return z
    .union([z.string(), z.number()], { error: "expected a duration such as 500ms, 10s or 1m30s" })
    .transform((value, context) => attempt(context, () => parseDuration(value, bounds)));
}

/** Times that become timers: a timer longer than a day is a mistake in the unit. */
export const TIMER: DurationLimits = { minMs: 1, maxMs: DAY_MS };

/** A default in the words that the file would use, so that it shows in the JSON Schema. */
export function durationOr(defaultMs: number, limits?: Partial<DurationLimits>) {
  return duration(limits).prefault(formatDuration(defaultMs));
}

/** `host:port`, `[v6]:port`, `tcp://…`, `unix:/path` or `/path`. Produces the canonical text. */
export const address = z
  .string()
  .transform((text, context) => attempt(context, () => canonicalAddress(text)));

const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** Text that ends up inside a line of another program's configuration, or in a terminal. */
export const line = z
  .string()
  .max(4096)
  .refine((text) => !CONTROL.test(text), { message: "holds a line break or another control character" });

/** A path of the file system. A relative one counts from the configuration file's directory. */
export const path = line.min(1);

/** A word that people choose: names of checks, triggers, balancers, commands. */
export const name = z
  .string()
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}$/,
    "is not a name: use up to 100 letters, digits, _ . : and -, and begin with a letter, digit or _",
  )
  .refine((text) => !(text in Object.prototype), { message: "is a word of the language: use another name" });

/** `0.34` or `34%`. Produces a number from 0 to 1. */
export const share = z
  .union([z.string(), z.number()], { error: "expected a share such as 0.34 or 34%" })
  .transform((value, context) => {
    const match = /^(\d+(?:\.\d+)?) ?(%?)$/.exec(String(value).trim());
    const number = match === null ? Number.NaN : Number(match[1]) / (match[2] === "%" ? 100 : 1);
    if (number >= 0 && number <= 1) return number;
    context.addIssue({ code: "custom", message: "is not a share: use 0 to 1, or 0% to 100%" });
    return z.NEVER;
  });

/** One or a list of them. Produces the list. */
export function oneOrMore<Item extends z.ZodType>(item: Item) {
  return z
    .union([item, z.array(item)])
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<Item>[]);
}

/** Text, or text over several lines, or a list of lines. Produces lines without line breaks. */
export const lines = oneOrMore(z.string()).transform((texts, context) => {
  const split = texts.flatMap((text) => text.split(/\r?\n/)).map((text) => text.trimEnd());
  if (split.some((text) => CONTROL.test(text.replaceAll("\t", " ")))) {
    context.addIssue({ code: "custom", message: "holds a control character" });
    return z.NEVER;
  }
  return split.filter((text) => text !== "");
});

/** A value of an environment variable or a label: YAML's numbers and booleans become text. */
export const scalarText = z
  .union([z.string(), z.number(), z.boolean(), z.null()], { error: "expected text, a number, true or false" })
  .transform((value) => (value === null ? "" : String(value)));

export const environment = z.record(
  z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is not a name of an environment variable: use letters, digits and _"),
  scalarText.refine((text) => !text.includes("\0"), { message: "holds a NUL character" }),
);

export const userName = z
  .union([z.string(), z.number()], { error: "expected a user's name or number" })
  .transform(String)
  .refine((text) => /^([a-z_][a-z0-9_.-]{0,31}\$?|\d{1,10})$/i.test(text), {
    message: "is not a user: use a name or a number",
  });

/** A port alone, or host and port. Port 0: any free one. Whether it may be more than loopback, others judge. */
export const listen = z
  .union([z.string(), z.number()], { error: "expected a port, or host:port" })
  .transform(toListen);

/** The same, and whether TLS is asked for, as the seed wrote it: `tls://host:port`. */
export const secureListen = z
  .union([z.string(), z.number()], { error: "expected a port, or host:port" })
  .transform((value, context) => ({
    ...toListen(value, context),
    isTls: String(value).trim().startsWith("tls://"),
  }));

function toListen(value: string | number, context: z.RefinementCtx): ListenConfig {
  const text = String(value).trim();
  const match = /^(?:(?:tls|tcp|https?):\/\/)?(?:(?:\[([^\]]+)\]|([A-Za-z0-9_.-]+)?):)?(\d{1,5})\/?$/.exec(
    text,
  );
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    context.addIssue({
      code: "custom",
      message: "is not an address to listen on: use a port up to 65535, or 127.0.0.1:PORT",
    });
    return z.NEVER;
  }
  return { host: match[1] ?? match[2] ?? "127.0.0.1", port };
}

/** Turns what a parser throws into a problem of this value. */
function attempt<Result>(context: z.RefinementCtx, parse: () => Result): Result {
  try {
    return parse();
  } catch (thrown) {
    context.addIssue({ code: "custom", message: messageOf(thrown) });
    return z.NEVER;
  }
}
