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

/** Skip messages until one fits, rather than judge the next one. */
const skipForward = z.boolean().default(false);

const textExpectation = z.union([
  z.string().min(1),
  z
    .strictObject({
      contains: z.string().min(1).optional(),
      equals: z.string().optional(),
      regex: regexText.optional(),
      skip_forward: skipForward,
    })
    .refine((step) => (step.contains ?? step.equals ?? step.regex) !== undefined, {
      message: "asks for nothing: use contains, equals or regex",
    }),
]);

const step = z.union(
  [
    z.strictObject({ send: z.string() }),
    z.strictObject({ send_json: z.json() }),
    z.strictObject({ expect: textExpectation }),
    z.strictObject({ expect_json: z.strictObject({ match: jsonMatches, skip_forward: skipForward }) }),
    /** A protocol ping that must be answered. */
    z.strictObject({ ping: z.literal(true) }),
  ],
  { error: "is not a step: use one of send, send_json, expect, expect_json and ping" },
);

/** A subprotocol is a token (RFC 6455, section 4.1). */
const subprotocol = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, "is not a subprotocol: use one word");

/** Options of the check `websocket`. Without a flow, the handshake and one ping are the check. */
export const websocketOptions = z
  .strictObject({
    /** A path, or a URL whose host is asked for by name (Host, SNI) while the connection goes to the node. */
    url: targetUrl(["ws", "wss", "http", "https"]).default("/"),
    flow: z
      .array(step)
      .min(1)
      .max(64)
      .default([{ ping: true }]),
    headers: requestHeaders.default({}),
    /** Offered in this order; the server must choose one of them. */
    subprotocol: z
      .union([subprotocol, z.array(subprotocol).min(1).max(16)])
      .transform((value) => (Array.isArray(value) ? value : [value]))
      .optional(),
    tls: tlsOption.optional(),
    certificate_expiry_days: certificateExpiryDays.default(14),
    basic_auth: basicAuth.optional(),
    /** Read again when it changes. */
    bearer_token_file: absolutePath.optional(),
    /** A longer message fails the check. */
    max_payload: byteCount.default(1_048_576),
    /** Keep the connection and play the flow on it again. Only for services whose answers do not depend on what came before. */
    persistent: z.boolean().default(false),
    /** A flow that takes longer is degraded. */
    slow: durationMs.optional(),
  })
  .refine(
    (options) => options.tls === undefined || options.tls === false || !/^(ws|http):/.test(options.url),
    {
      path: ["tls"],
      message: "is set for a ws:// URL: use wss:// or a path",
    },
  )
  .refine((options) => options.tls !== false || !/^(wss|https):/.test(options.url), {
    path: ["tls"],
    message: "is false for a wss:// URL: use ws:// or leave tls out",
  })
  .refine((options) => options.basic_auth === undefined || options.bearer_token_file === undefined, {
    path: ["bearer_token_file"],
    message: "is set beside basic_auth: only one of them can be sent",
  });
export type WebsocketOptions = z.infer<typeof websocketOptions>;
