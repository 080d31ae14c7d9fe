import { z } from "zod";
import { redisConnectionShape, regexText } from "./parts.js";

const word = z.union([z.string(), z.number(), z.boolean()]).transform(String);

/** Commands that would change what the check's persistent connection is, with what to do instead. */
const REFUSED_COMMANDS: Readonly<Record<string, string>> = {
  AUTH: "use username and password",
  HELLO: "use username and password",
  SELECT: "use database",
  SUBSCRIBE: "use PUBLISH",
  PSUBSCRIBE: "use PUBLISH",
  SSUBSCRIBE: "use SPUBLISH",
  MONITOR: "use PING",
  QUIT: "leave it out",
  RESET: "leave it out",
  SYNC: "use type: info",
  PSYNC: "use type: info",
};

const words = z
  .union([
    z.array(word).min(1, "is empty: give the command's name and its arguments"),
    z
      .string()
      .regex(
        /^[^\s"']+( +[^\s"']+)*$/,
        "is not a plain command: write it as a list of words, such as [SET, key, value]",
      )
      .transform((text) => text.split(/ +/)),
  ])
  .superRefine(([name = ""], context) => {
    const advice = REFUSED_COMMANDS[name.toUpperCase()];
    if (advice === undefined) return;
    context.addIssue({ code: "custom", message: `${name} would end the check's own connection: ${advice}` });
  });

/** The kinds of reply that can be told apart: `nil` is an absent value, `status` is a text as well. */
export const replyType = z.enum(["string", "integer", "array", "nil"]);
export type ReplyType = z.infer<typeof replyType>;

const expectation = z.union([
  z.string(),
  z.number().transform(String),
  z.strictObject({ equals: word }),
  z.strictObject({ regex: regexText }),
  z.strictObject({ type: replyType }),
]);

/** Options of the Redis check `basic`: commands that all must succeed, in order. */
export const basicOptions = z.strictObject({
  ...redisConnectionShape,
  commands: z
    .array(z.union([words, z.strictObject({ command: words, expect: expectation.optional() })]))
    .min(1, "is empty: give at least one command, such as [PING]")
    .max(64)
    .default(() => [["PING"]]),
});
export type BasicOptions = z.infer<typeof basicOptions>;
export type BasicExpectation = z.infer<typeof expectation>;
