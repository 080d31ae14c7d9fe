import { z } from "zod";
import { absolutePath, durationMs, regexText, tlsOption } from "./parts.js";
import {
  basicAuth,
  byteCount,
  certificateExpiryDays,
  jsonMatches,
  requestHeaders,
  targetUrl,
} from "./http-parts.js";

const code = z.int().min(100).max(599);
const range = z
  .string()
  .regex(/^[1-5](\d\d(-[1-5]\d\d)?|xx)$/, "is not a status: use 200, 200-299 or 2xx")
  .refine((text) => Number(text.slice(0, 3)) <= Number(text.slice(4) || "599") || text.endsWith("xx"), {
    message: "is an empty range: put the lower status first",
  });
const STATUS_ADVICE = { error: "is not a status: use 200, 200-299, 2xx or a list of them" };
const statuses = z
  .union([code, range, z.array(z.union([code, range], STATUS_ADVICE)).min(1)], STATUS_ADVICE)
  .transform((value) => (Array.isArray(value) ? value : [value]));

/** What the body must be. Everything given must hold. Text alone is looked for anywhere in the body. */
const bodyExpectation = z.union(
  [
    z.string().min(1),
    z
      .strictObject({
        contains: z.string().min(1).optional(),
        not_contains: z.string().min(1).optional(),
        /** The whole body, without white space around it. */
        equals: z.string().optional(),
        regex: regexText.optional(),
        json: jsonMatches.optional(),
      })
      .refine((expectation) => Object.values(expectation).some((value) => value !== undefined), {
        message: "asks for nothing: use contains, not_contains, equals, regex or json",
      }),
  ],
  {
    error:
      "is not an expectation: use text, or one or more of contains, not_contains, equals, regex and json",
  },
);

/** YAML reads `1.1` and `2` as numbers. */
const version = z
  .union([z.literal(1.1), z.literal(2), z.literal("1.1"), z.literal("2"), z.literal("auto")], {
    error: "is not a version: use 1.1, 2 or auto",
  })
  .transform((value) => String(value) as "1.1" | "2" | "auto");

/** Options of the check `http`. */
export const httpOptions = z
  .strictObject({
    /** A path, or a URL whose host is asked for by name (Host, SNI) while the connection goes to the node. */
    url: targetUrl(["http", "https"]).default("/"),
    method: z
      .string()
      .regex(/^[A-Za-z]{1,20}$/, "is not a method: use GET, HEAD, POST or another word")
      .transform((text) => text.toUpperCase())
      .refine((text) => text !== "CONNECT", { message: "cannot be checked: use GET or HEAD" })
      .default("GET"),
    headers: requestHeaders.default({}),
    body: z.string().optional(),
    /** Statuses that pass. Default as Consul's: 2xx, so a redirect to a login page does not count. */
    status: statuses.default(["200-299"]),
    /** Statuses of a node that is alive but asks for less, such as 429. */
    degraded_status: statuses.optional(),
    expect_body: bodyExpectation.optional(),
    /** A longer body fails the check where its content matters, and is not read on where it does not. */
    max_body: byteCount.default(1_048_576),
    /** How many redirects to follow; the status at the end is judged. They stay on the node. */
    redirects: z.int().min(0).max(10).default(0),
    tls: tlsOption.optional(),
    certificate_expiry_days: certificateExpiryDays.default(14),
    /** `auto` takes what the server prefers over TLS, and 1.1 without TLS. `2` without TLS is prior knowledge (h2c). */
    http_version: version.default("1.1"),
    basic_auth: basicAuth.optional(),
    /** Read again when it changes. */
    bearer_token_file: absolutePath.optional(),
    /** An answer that takes longer is degraded. */
    slow: durationMs.optional(),
    /** Every so many runs use a new connection, to see full backlogs and client limits. 0: never, 1: always. */
    fresh_every: z.int().min(0).max(1_000_000).default(30),
  })
  .refine(
    (options) => options.tls === undefined || options.tls === false || !options.url.startsWith("http:"),
    {
      path: ["tls"],
      message: "is set for an http:// URL: use https:// or a path",
    },
  )
  .refine((options) => options.tls !== false || !options.url.startsWith("https:"), {
    path: ["tls"],
    message: "is false for an https:// URL: use http:// or leave tls out",
  })
  .refine((options) => options.basic_auth === undefined || options.bearer_token_file === undefined, {
    path: ["bearer_token_file"],
    message: "is set beside basic_auth: only one of them can be sent",
  })
  .refine((options) => options.body === undefined || !["GET", "HEAD"].includes(options.method), {
    path: ["body"],
    message: "is set for a GET or HEAD: use method: POST",
  })
  .refine((options) => options.method !== "HEAD" || options.expect_body === undefined, {
    path: ["expect_body"],
    message: "is set for HEAD, whose answers have no body: use GET",
  });
export type HttpOptions = z.infer<typeof httpOptions>;
