import { nodeKey } from "../../common/model/node.js";
import type { NodeRef } from "../../common/model/node.js";
import type { RunningCoordinator } from "../coordinator.js";
import type { Example } from "./example.js";

/**
 * What `npm start` says: what runs, where to look, and what to try.
 * @param unseen nodes without a state, although there was time for it.
 */
export function greeting(
  coordinator: Pick<RunningCoordinator, "httpAddress">,
  example: Pick<Example, "services" | "remarks">,
  unseen: readonly NodeRef[],
): string {
  const proxy = example.services.find((service) => service.name === "haproxy");
  const first = example.services.find((service) => service.name === "web 1");
  const others = example.services.filter((service) => service.name !== "haproxy");
  const lines = [
    "",
    "clusterduck is running: one coordinator and one agent in this process.",
    "",
    "Supervised services:",
    ...others.map(
      ({ name, port, process: child }) => `  ${name.padEnd(8)} 127.0.0.1:${port}  pid ${child.pid ?? "-"}`,
    ),
    ...(proxy === undefined
      ? []
      : [`  haproxy  http://127.0.0.1:${proxy.port} sends requests to the web servers`]),
    ...example.remarks.map((remark) => `  (${remark})`),
    ...unseen.map(
      (node) => `  (${nodeKey(node)} has no state yet: npx duckctl explain ${node.addr} says why)`,
    ),
    "",
    "Look, from this folder in another terminal:",
    "  npx duckctl status",
    "  npx duckctl nodes list",
    "  npx duckctl events --follow",
    ...(coordinator.httpAddress === null ? [] : [`  curl http://${coordinator.httpAddress}/metrics`]),
    ...(first === undefined
      ? []
      : [
          "",
          "Try: kill one, ask why, bring it back:",
          `  kill -9 ${first.process.pid ?? ""}`,
          ...(proxy === undefined ? [] : [`  curl http://127.0.0.1:${proxy.port}/`]),
          `  npx duckctl explain 127.0.0.1:${first.port}`,
          `  node examples/first-run/web-server.mjs ${first.port} &`,
        ]),
    "",
    "Ctrl-C ends all of it.",
    "",
  ];
  return lines.join("\n");
}
