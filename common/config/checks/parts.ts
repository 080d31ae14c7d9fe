import { z } from "zod";
import { LONGEST_DURATION_MS, parseDuration } from "../../duration.js";
import { messageOf } from "../../errors.js";

/*
 * Pieces that several check types share. Whatever they produce is plain JSON and passes the same schema
 * again: options are checked when the file is read, replicated, and read again by the check itself.
 */

const LIMITS = { minMs: 1, maxMs: LONGEST_DURATION_MS };

/** `500ms`, `10s`, `1m30s`; a bare number is milliseconds. Produces milliseconds. */
export const durationMs = z.union([z.string(), z.number()]).transform((value, context) => {
  try {
    return parseDuration(value, LIMITS);
  } catch (thrown) {
    context.addIssue({ code: "custom", message: messageOf(thrown) });
    return z.NEVER;
  }
});

/** A regular expression as text, in JavaScript's syntax and without slashes or flags. */
export const regexText = z.string().superRefine((source, context) => {
  try {
    new RegExp(source);
  } catch (thrown) {
    context.addIssue({
      code: "custom",
      message: `${messageOf(thrown)}: use JavaScript's syntax, without slashes`,
    });
  }
});

/** An absolute path on the host that runs the check. */
export const absolutePath = z
  .string()
  .regex(/^\/[^\0]*$/, "is not an absolute path: use one that starts with / on the host that runs the check");

/** Text that becomes a header or a protocol word: no control characters. */
export const wordText = z
  .string()
  .regex(/^[^\u0000-\u001f\u007f]*$/, "holds control characters: use printable text");

/** TLS towards the node. `true`: the system's authorities, verified against the node's host name. */
export const tlsOption = z.union([
  z.boolean(),
  z
    .strictObject({
      /** PEM file with the authorities to trust instead of the system's. */
      ca_file: absolutePath.optional(),
      /** PEM files of our own certificate and its key; both or neither. */
      cert_file: absolutePath.optional(),
      key_file: absolutePath.optional(),
      /** The name to ask for (SNI) and to verify, when the address does not tell. */
      server_name: wordText.min(1).optional(),
      /** Accept any certificate. The connection is then open to whoever stands between. */
      skip_verify: z.boolean().optional(),
    })
    .refine((tls) => (tls.cert_file === undefined) === (tls.key_file === undefined), {
      message: "has only one of cert_file and key_file: give both or neither",
    }),
]);
export type TlsOption = z.infer<typeof tlsOption>;

/** How a Redis check connects. */
export const redisConnectionShape = {
  /** ACL user; without it, AUTH names no user. */
  username: wordText.min(1).optional(),
  password: z.string().min(1).optional(),
  /** Read again when it changes, so a rotated password needs no restart. Wins over `password`. */
  password_file: absolutePath.optional(),
  tls: tlsOption.optional(),
  database: z.int().min(0).max(65_535).optional(),
} as const;
