import { z } from "zod";
import { regexText, tlsOption } from "./parts.js";

const hexText = z
  .string()
  .regex(/^([0-9A-Fa-f]{2}[ :]?)+$/, 'is not hexadecimal: use pairs of digits, such as "0d0a" or "0d 0a"');

/** Text with the escapes \r \n \t \0 \xNN and \\ . */
const escapedText = z
  .string()
  .min(1)
  .regex(
    /^([^\\]|\\[rnt0\\]|\\x[0-9A-Fa-f]{2})*$/,
    "has an unknown escape: use \\r \\n \\t \\0 \\xNN or \\\\",
  );

const payload = z.union([escapedText, z.strictObject({ hex: hexText })]);
const answer = z.union([
  escapedText,
  z.strictObject({ hex: hexText }),
  z.strictObject({ regex: regexText.min(1) }),
]);

/** Options of the check `tcp`. */
export const tcpOptions = z
  .strictObject({
    /** Sent once connected (and, with `persistent`, in every run). */
    send: payload.optional(),
    /** What must appear in the answer, anywhere in its first 64 KiB. */
    expect: answer.optional(),
    /** A conversation instead of one `send` and `expect`. */
    flow: z
      .array(z.union([z.strictObject({ send: payload }), z.strictObject({ expect: answer })]))
      .min(1)
      .max(32)
      .optional(),
    tls: tlsOption.optional(),
    /** With `tls`: warn when the certificate ends within this many days. 0: never. */
    certificate_expiry_days: z.int().min(0).max(3650).default(14),
    /** Keep the connection between runs. Only for protocols that answer more than one request. */
    persistent: z.boolean().default(false),
  })
  .refine(
    (options) => options.flow === undefined || (options.send === undefined && options.expect === undefined),
    {
      message: "has flow as well as send or expect: use one of the two forms",
    },
  )
  .refine((options) => !options.persistent || (options.expect ?? options.flow) !== undefined, {
    message:
      "has persistent without expect: an open connection proves nothing, so say what the service must answer",
  })
  .refine((options) => !options.persistent || !isBegunByService(options), {
    message:
      "has persistent, but the service speaks first: it greets once for each connection, so begin with send or leave persistent out",
  });

function isBegunByService(options: {
  readonly send?: unknown;
  readonly expect?: unknown;
  readonly flow?: readonly object[] | undefined;
}): boolean {
  const [first] = options.flow ?? [];
  return first === undefined ? options.expect !== undefined && options.send === undefined : "expect" in first;
}

export type TcpOptions = z.infer<typeof tcpOptions>;
export type TcpPayload = z.infer<typeof payload>;
export type TcpAnswer = z.infer<typeof answer>;
