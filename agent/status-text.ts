import Table from "cli-table3";
import prettyMilliseconds from "pretty-ms";
import { ABSTAIN_LEVEL } from "../common/model/assignment.js";
import type { AgentStatus } from "./status.js";

/** Whether every coordinator is there and the agent trusts its own eyes. */
export function isWell(status: AgentStatus): boolean {
  return (
    status.streams.every(({ state }) => state === "connected") &&
    status.selfDoubt.level < ABSTAIN_LEVEL &&
    status.proxies.every(({ error }) => error === "")
  );
}

/** `duck-agent status` for people. */
export function describeStatus(status: AgentStatus): string {
  const { checks, selfDoubt } = status;
  const doubt = selfDoubt.level === 0 ? "none" : `${selfDoubt.level} of 8 (${selfDoubt.cause})`;
  return [
    `agent       ${status.id}, version ${status.version}, up ${prettyMilliseconds(status.uptimeMs, { compact: true })}`,
    `cluster     ${status.clusterId === "" ? "none yet" : status.clusterId}`,
    `checks      ${checks.checks} of ${status.nodes} nodes, started at most ${checks.latenessP99Ms.toFixed(1)} ms late (p99)`,
    `self-doubt  ${doubt}`,
    "",
    streams(status),
    ...(status.proxies.length === 0 ? [] : ["", proxies(status)]),
    "",
  ].join("\n");
}

function streams(status: AgentStatus): string {
  const rows = status.streams.map((stream) => [
    stream.address,
    stream.coordinator === "" ? "-" : stream.coordinator,
    stream.state,
    String(stream.nodes),
    String(stream.buffered),
    String(stream.dropped),
    stream.error,
  ]);
  return table(["COORDINATOR", "ID", "STATE", "NODES", "BUFFERED", "DROPPED", "ERROR"], rows);
}

function proxies(status: AgentStatus): string {
  const rows = status.proxies.map((proxy) => [
    proxy.balancer,
    proxy.kind,
    proxy.appliedGeneration === "" ? "-" : proxy.appliedGeneration,
    proxy.observedGeneration === "" ? "-" : proxy.observedGeneration,
    proxy.error,
  ]);
  return table(["BALANCER", "KIND", "APPLIED", "OBSERVED", "ERROR"], rows);
}

/** Columns without lines, so that other programs can cut them. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const nothing = {
    top: "",
    "top-mid": "",
    "top-left": "",
    "top-right": "",
    bottom: "",
    "bottom-mid": "",
    "bottom-left": "",
    "bottom-right": "",
    left: "",
    "left-mid": "",
    mid: "",
    "mid-mid": "",
    right: "",
    "right-mid": "",
    middle: "  ",
  };
  const drawn = new Table({
    chars: nothing,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  drawn.push([...head], ...rows.map((row) => [...row]));
  return drawn
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
