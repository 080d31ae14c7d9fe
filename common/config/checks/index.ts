import { z } from "zod";
import { CONFIG_DEFAULTS } from "../defaults.js";
import type { CheckConfig, CheckType, JsonObject, JsonValue } from "../model.js";
import { TIMER, duration, durationOr, name } from "../schema/values.js";
import { basicOptions } from "./basic.js";
import { execOptions } from "./exec.js";
import { grpcOptions } from "./grpc.js";
import { httpOptions } from "./http.js";
import { infoOptions } from "./info.js";
import { tcpOptions } from "./tcp.js";
import { websocketOptions } from "./websocket.js";

const DEFAULTS = CONFIG_DEFAULTS.check;

/** Every check type with the schema of its options. A new type is one line here and one in `typed` below. */
export const CHECK_OPTIONS = {
  basic: basicOptions,
  info: infoOptions,
  http: httpOptions,
  websocket: websocketOptions,
  tcp: tcpOptions,
  grpc: grpcOptions,
  exec: execOptions,
} as const satisfies Readonly<Record<CheckType, z.ZodObject>>;

const common = {
  name: name.optional().describe("Unique in its cluster; default: the type, numbered when it repeats"),
  every: duration({ ...TIMER, minMs: 10 })
    .optional()
    .describe("Time between two looks; default 1s"),
  interval: duration({ ...TIMER, minMs: 10 })
    .optional()
    .describe("Another word for every"),
  interval_after_fail: duration({ ...TIMER, minMs: 10 })
    .optional()
    .describe(
      "Time between two looks while the check fails, to see a return sooner; one longer than every changes nothing",
    ),
  timeout: durationOr(DEFAULTS.timeoutMs, TIMER).describe("A check that takes longer has failed"),
  fall: z
    .int()
    .min(1)
    .max(1000)
    .default(DEFAULTS.fall)
    .describe("Failures in a row before the check counts as failed"),
  rise: z
    .int()
    .min(1)
    .max(1000)
    .default(DEFAULTS.rise)
    .describe("Passes in a row before it counts as passed"),
};

const COMMON_KEYS: ReadonlySet<string> = new Set(["type", ...Object.keys(common)]);

// `safeExtend` keeps what the option schemas check across their keys.
const typed = [
  basicOptions.safeExtend({ type: z.literal("basic"), ...common }),
  infoOptions.safeExtend({ type: z.literal("info"), ...common }),
  httpOptions.safeExtend({ type: z.literal("http"), ...common }),
  websocketOptions.safeExtend({ type: z.literal("websocket"), ...common }),
  tcpOptions.safeExtend({ type: z.literal("tcp"), ...common }),
  grpcOptions.safeExtend({ type: z.literal("grpc"), ...common }),
  execOptions.safeExtend({ type: z.literal("exec"), ...common }),
] as const;

export type NamelessCheck = Omit<CheckConfig, "id"> & { readonly name: string | undefined };

/** One entry of `health_checks`; its id is found when the whole list is known. */
export const check = z.discriminatedUnion("type", typed).transform((value, context): NamelessCheck => {
  if (value.every !== undefined && value.interval !== undefined) {
    context.addIssue({
      code: "custom",
      path: ["interval"],
      message: "says the same as every: use one of them",
    });
  }
  const everyMs = value.every ?? value.interval ?? DEFAULTS.everyMs;
  const failingEveryMs = value.interval_after_fail;
  const options = Object.entries(value).filter(
    ([key, option]) => !COMMON_KEYS.has(key) && option !== undefined,
  );
  return {
    name: value.name,
    type: value.type,
    options: Object.fromEntries(options as [string, JsonValue][]) satisfies JsonObject,
    everyMs,
    // Looking less often at what fails would only notice its return later.
    ...(failingEveryMs === undefined || failingEveryMs >= everyMs ? {} : { failingEveryMs }),
    timeoutMs: value.timeout,
    fall: value.fall,
    rise: value.rise,
  };
});
