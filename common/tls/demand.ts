import { ClusterduckError } from "../errors.js";
import { isLoopbackHost } from "../net/loopback.js";
import type { ListenConfig } from "../config/model.js";

/** Beyond loopback anybody may knock, so certificates say who may come in. @throws ClusterduckError LISTEN_FAILED */
export function assertMayListen(listen: ListenConfig, hasTls: boolean): void {
  if (hasTls || isLoopbackHost(listen.host)) return;
  const { host, port } = listen;
  throw new ClusterduckError(
    "LISTEN_FAILED",
    `Cannot listen on ${host.includes(":") ? `[${host}]` : host}:${port}: without TLS only a loopback address is allowed`,
    {
      hint: `Make certificates with \`duckctl tls init\`, or listen on 127.0.0.1:${port} or [::1]:${port}`,
    },
  );
}
