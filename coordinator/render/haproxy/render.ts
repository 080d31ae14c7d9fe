import { assertNever, messageOf } from "../../../common/errors.js";
import type { RenderedFile } from "../../../appliers/applier.js";
import type { HaproxyConfig } from "../../../common/config/model.js";
import { parseAddress } from "../../../common/model/address.js";
import { generationOf } from "../../../common/model/generation.js";
import { nodeKey } from "../../../common/model/node.js";
import { admissionOf } from "../admission.js";
import type { BalancerView, ClusterSlice } from "../balancer-view.js";
import type { Rendering } from "../rendering.js";
import { problemsOf } from "./problems.js";
import {
  MARKER_SECTION,
  backendHead,
  defaultsSection,
  fillMarker,
  frontendSection,
  globalSection,
} from "./sections.js";
import { addressProblem, serverLine } from "./server-line.js";

/**
 * Renders a balancer's HAProxy configuration: sorted, so that equal state gives equal bytes. Every node is
 * listed, also those that get no traffic: a backend without servers is what the classic outage looks like,
 * and a listed server can return without a reload.
 */
export function renderHaproxy(view: BalancerView): Rendering {
  const { balancer, clusters } = view;
  const problems = problemsOf(view);
  if (problems.length > 0) return { kind: "refused", balancer: balancer.name, problems };

  const routable = new Set<string>();
  const warnings: string[] = [];
  const blocks = clusters.map((cluster) => ({
    cluster,
    isTcp: isTcpFor(balancer, cluster),
    lines: serverLines(balancer, cluster, { routable, warnings }),
  }));
  const [file, generation] = assemble(balancer, blocks);
  return { kind: "rendered", balancer: balancer.name, generation, files: [file], routable, warnings };
}

type Block = { readonly cluster: ClusterSlice; readonly isTcp: boolean; readonly lines: readonly string[] };

function isTcpFor(balancer: HaproxyConfig, cluster: ClusterSlice): boolean {
  if (balancer.protocol !== null) return balancer.protocol === "tcp";
  return cluster.type === "redis" || cluster.type === "tcp";
}

function serverLines(
  balancer: HaproxyConfig,
  cluster: ClusterSlice,
  found: { readonly routable: Set<string>; readonly warnings: string[] },
): readonly string[] {
  const context = { balancer, clusterType: cluster.type, isTcp: isTcpFor(balancer, cluster) };
  const lines: string[] = [];
  let addr = "";
  // One for all nodes: there may be ten thousand.
  const warn = (problem: string): void => {
    found.warnings.push(`node "${addr}" of cluster "${cluster.name}": ${problem}`);
  };
  for (const node of cluster.nodes) {
    addr = node.addr;
    try {
      const address = parseAddress(node.addr);
      const problem = addressProblem(address);
      if (problem !== null) {
        warn(`${problem}; the node is left out`);
        continue;
      }
      const admission = admissionOf(node, cluster.isPanicking);
      lines.push(serverLine(node, address, admission, context, warn));
      if (admission === "serve") found.routable.add(nodeKey({ cluster: cluster.name, addr }));
    } catch (thrown) {
      warn(`${messageOf(thrown)}; the node is left out`);
    }
  }
  return lines;
}

function assemble(balancer: HaproxyConfig, blocks: readonly Block[]): readonly [RenderedFile, string] {
  switch (balancer.mode) {
    case "marker": {
      const text = blocks.map(markerBlock).join("");
      return [{ role: "servers", text }, generationOf(text)];
    }
    case "include":
      return withMarker([
        `# Backends of clusterduck's balancer "${balancer.name}", for "use_backend" in a file beside this one.`,
        "# Edits are overwritten: change clusterduck's configuration instead.",
        ...MARKER_SECTION,
        ...blocks.flatMap((block) => backend(balancer, block)),
      ]);
    case "file":
      return withMarker([
        `# HAProxy configuration of clusterduck's balancer "${balancer.name}".`,
        "# Edits are overwritten: change clusterduck's configuration instead.",
        ...globalSection(balancer),
        ...defaultsSection(balancer),
        ...blocks.flatMap((block) => frontend(balancer, block)),
        ...blocks.flatMap((block) => backend(balancer, block)),
      ]);
    default:
      return assertNever(balancer.mode);
  }
}

function withMarker(lines: readonly string[]): readonly [RenderedFile, string] {
  const text = lines.join("\n");
  const generation = generationOf(text);
  return [{ role: "config", text: fillMarker(text, generation) }, generation];
}

function frontend(balancer: HaproxyConfig, { cluster, isTcp }: Block): readonly string[] {
  const config = Object.hasOwn(balancer.frontends, cluster.name)
    ? balancer.frontends[cluster.name]
    : undefined;
  return config === undefined ? [] : frontendSection(cluster.name, isTcp, config);
}

function backend(balancer: HaproxyConfig, { cluster, isTcp, lines }: Block): readonly string[] {
  return [...backendHead(cluster.name, isTcp, balancer), ...lines.map((line) => `  ${line}`), ""];
}

function markerBlock({ cluster, lines }: Block): string {
  return [`#<servers ${cluster.name}>`, ...lines, "#</servers>", ""].join("\n");
}
