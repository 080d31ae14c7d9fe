import { z } from "zod";
import { compileJsonMatcher } from "../../json-match.js";
import { messageOf } from "../../errors.js";
import { absolutePath } from "./parts.js";

/* Pieces that the checks `http` and `websocket` share. Their output passes the same schema again. */

const UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1_000,
  kib: 1_024,
  k: 1_024,
  mb: 1_000_000,
  mib: 1_048_576,
  m: 1_048_576,
};
const MAX_BYTES = 64 * 1_048_576;

/** `64KiB`, `1MiB`, `500kB`; a bare number is bytes. Produces bytes. At most 64 MiB. */
export const byteCount = z.union([z.string(), z.number()]).transform((value, context) => {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(String(value).trim());
  const unit = UNITS[(match?.[2] || "b").toLowerCase()];
  const bytes = match === null || unit === undefined ? Number.NaN : Math.floor(Number(match[1]) * unit);
  if (bytes >= 1 && bytes <= MAX_BYTES) return bytes;
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(value)} is not a size: use 64KiB or 1MiB, at least 1 byte and at most 64MiB`,
  });
  return z.NEVER;
});

/** A path, or a whole URL of one of the schemes. The connection goes to the node; host and SNI are the URL's. */
export function targetUrl(schemes: readonly string[]) {
  return z.string().superRefine((text, context) => {
    const problem = problemOfUrl(text, schemes);
    if (problem !== null) context.addIssue({ code: "custom", message: problem });
  });
}

function problemOfUrl(text: string, schemes: readonly string[]): string | null {
  const advice = `use a path such as /health, or ${schemes.map((scheme) => `${scheme}://`).join(" or ")} with host and path`;
  if (text !== text.trim() || /[\s\u0000-\u001f\u007f]/.test(text))
    return `holds spaces or control characters: ${advice}`;
  if (!URL.canParse(text, "http://node/")) return `cannot be read as a URL: ${advice}`;
  if (text.startsWith("/") && !text.startsWith("//")) return null;
  if (!URL.canParse(text)) return `is neither a path nor a URL: ${advice}`;
  const url = new URL(text);
  if (!schemes.includes(url.protocol.slice(0, -1)) || url.hostname === "")
    return `is not a URL to check: ${advice}`;
  if (url.username !== "" || url.password !== "") return "holds credentials: use basic_auth";
  return null;
}

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const FRAMING =
  /^(content-length|transfer-encoding|connection|upgrade|keep-alive|te|trailer|expect|sec-websocket-.*)$/i;
/** Node and undici write headers as latin1. */
const HEADER_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/** Names are tokens (RFC 9110, section 5.6.2). What frames the message is ours to set. */
export const requestHeaders = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String))
  .superRefine((headers, context) => {
    for (const [name, value] of Object.entries(headers)) {
      const problem = problemOfHeader(name, value);
      if (problem !== null) context.addIssue({ code: "custom", path: [name], message: problem });
    }
  });

function problemOfHeader(name: string, value: string): string | null {
  if (!HEADER_NAME.test(name)) return "is not a header name: use letters, digits and -";
  if (FRAMING.test(name)) return "frames the message and cannot be set: leave it out";
  return HEADER_VALUE.test(value)
    ? null
    : "holds characters that no header can carry: use printable Latin text";
}

export const basicAuth = z
  .strictObject({
    username: z
      .string()
      .regex(/^[^:\u0000-\u001f]*$/, "holds a colon or control characters: HTTP cannot carry those"),
    password: z.string().optional(),
    /** Read again when it changes. */
    password_file: absolutePath.optional(),
  })
  .refine((auth) => (auth.password === undefined) !== (auth.password_file === undefined), {
    message: "needs either password or password_file: give one of them",
  });
export type BasicAuth = z.infer<typeof basicAuth>;

const days = z.int().min(0).max(3650);

/** A number warns; `{warn, degrade}` also degrades the node, which takes it out of some uses. 0: never. */
export const certificateExpiryDays = z.union([
  days,
  z.strictObject({ warn: days.default(14), degrade: days.default(0) }),
]);

const triple = z
  .array(z.json())
  .min(2)
  .max(3)
  .superRefine((parts, context) => {
    try {
      compileJsonMatcher(parts);
    } catch (thrown) {
      context.addIssue({ code: "custom", message: messageOf(thrown) });
    }
  });

/** `[path, operator, value]`, or a list of those that must all hold. Produces the list. */
export const jsonMatches = z
  .union([z.array(z.array(z.json())), z.array(z.json())])
  .transform((value) => (Array.isArray(value[0]) ? value : [value]))
  .pipe(z.array(triple).min(1).max(32));
