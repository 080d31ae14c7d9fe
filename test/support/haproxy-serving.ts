import assert from "node:assert/strict";
import { get, type Agent } from "node:http";
import { join } from "node:path";
import type { TestContext } from "node:test";

import type { Applier, Bundle } from "../../appliers/applier.js";
import { createHaproxyApplier } from "../../appliers/haproxy/applier.js";
import { ask } from "../../appliers/haproxy/cli.js";
import { systemClock } from "../../common/clock.js";
import type { HaproxyConfig, ProxyTargetConfig } from "../../common/config/model.js";
import type { NodeSlice } from "../../coordinator/render/balancer-view.js";
import { renderHaproxy } from "../../coordinator/render/haproxy/render.js";
import { atEnd, temporaryFolder } from "./at-end.js";
import { freePort } from "./free-port.js";
import { startHaproxy, type HaproxyServer } from "./haproxy.js";
import { clusterSlice, haproxyConfig, nodeSlice, proxyTarget, viewOf } from "./haproxy-views.js";
import { startWebServer, type WebServer } from "./web-server.js";

export type Front = ((nodes: readonly NodeSlice[], changes?: Partial<HaproxyConfig>) => Bundle) & {
  readonly port: number;
};

export type Serving = {
  readonly applier: Applier;
  readonly front: Front;
  readonly webs: readonly WebServer[];
  readonly haproxy: HaproxyServer;
  readonly path: string;
  readonly masterSocket: string;
  /** Another applier over the same state, as after a restart. */
  readonly make: (target?: Partial<ProxyTargetConfig>) => Applier;
};

const signal = new AbortController().signal;
let index = 0;

/** A HAProxy that serves a whole file of ours, with some web servers behind it. */
export async function serving(t: TestContext, options: { readonly webs: number }): Promise<Serving> {
  const dir = await temporaryFolder(t, "duck-ha-");
  const webs = await Promise.all(Array.from({ length: options.webs }, startWebServer));
  atEnd(t, () => Promise.all(webs.map((web) => web.stop())));
  const port = await freePort();
  const path = join(dir, "haproxy.cfg");
  const masterSocket = join(dir, "m.sock");
  const make: Serving["make"] = (changes) =>
    createHaproxyApplier({
      balancer: "front",
      mode: "file",
      target: proxyTarget({ path, reload: { kind: "master", socket: masterSocket }, ...changes }),
      stateDir: join(dir, "state"),
      clock: systemClock,
    });
  const bind = { web: { bind: [`127.0.0.1:${port}`], options: [] } };
  const front = Object.assign(
    (nodes: readonly NodeSlice[], changes: Partial<HaproxyConfig> = {}) =>
      bundleOf(haproxyConfig({ frontends: bind, ...changes }), nodes),
    { port },
  );
  // HAProxy is not there yet: the file is written, and the first start reads it.
  const first = front(webs.map((web) => nodeSlice(web.addr)));
  const early = await make().apply(first, signal);
  assert.match(early.error, /is HAProxy running/);
  const haproxy = await startHaproxy({ files: [path], masterSocket });
  atEnd(t, () => haproxy.stop());
  const applier = make();
  const outcome = await applier.apply(first, signal);
  assert.equal(outcome.error, "", haproxy.output());
  return { applier, front, webs, haproxy, path, masterSocket, make };
}

/** An order of these nodes, newer than all before it in this process. */
export function bundleOf(config: HaproxyConfig, nodes: readonly NodeSlice[]): Bundle {
  const sorted = [...nodes].sort((a, b) => (a.addr < b.addr ? -1 : 1));
  const rendering = renderHaproxy(viewOf(config, [clusterSlice(sorted)]));
  assert.equal(rendering.kind, "rendered");
  index++;
  return {
    balancer: config.name,
    kind: "haproxy",
    generation: rendering.generation,
    files: rendering.files,
    fencing: { term: 1, index },
    isUrgent: true,
  };
}

/** Process id of the newest worker. */
export async function workerOf(haproxy: HaproxyServer): Promise<string> {
  return /^(\d+)\s+worker\s+0\s/m.exec(await ask(haproxy.masterSocket, "show proc"))?.[1] ?? "none";
}

/** The different answers to some requests. */
export async function answers(port: number, count: number): Promise<ReadonlySet<string>> {
  const bodies = new Set<string>();
  for (let round = 0; round < count; round++) bodies.add(await fetchText(port));
  return bodies;
}

/** The body of the answer to one request. @throws Error unless its status is 200. */
export function fetchText(port: number, agent?: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(
      { host: "127.0.0.1", port, ...(agent === undefined ? { agent: false } : { agent }) },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`status ${response.statusCode}`));
        });
      },
    );
    request.on("error", reject);
  });
}
