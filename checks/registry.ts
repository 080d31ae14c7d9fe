import type { CheckType } from "../common/config/model.js";
import type { Check, CheckContext, CheckFactory } from "./check.js";
import { createExecCheck } from "./exec.js";
import { createGrpcCheck } from "./grpc.js";
import { createHttpCheck } from "./http/http.js";
import { createBasicCheck } from "./redis/basic.js";
import { createInfoCheck } from "./redis/info.js";
import { createTcpCheck } from "./tcp.js";
import { createWebsocketCheck } from "./websocket.js";

/** Every check type. A new one is its file, its options, and a line here. */
const FACTORIES: Readonly<Record<CheckType, CheckFactory>> = {
  basic: createBasicCheck,
  info: createInfoCheck,
  http: createHttpCheck,
  websocket: createWebsocketCheck,
  tcp: createTcpCheck,
  grpc: createGrpcCheck,
  exec: createExecCheck,
};

/**
 * Makes a check of the type that its configuration names.
 * @throws ClusterduckError CONFIG_INVALID for options that cannot work here.
 */
export function createCheck(context: CheckContext): Check {
  return FACTORIES[context.config.type](context);
}
