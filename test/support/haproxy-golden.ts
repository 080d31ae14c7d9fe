import { fileURLToPath } from "node:url";

import type { BalancerView } from "../../coordinator/render/balancer-view.js";
import { clusterSlice, haproxyConfig, nodeSlice, proxyTarget, viewOf } from "./haproxy-views.js";

export const GOLDEN_DIRECTORY = fileURLToPath(new URL("../golden/haproxy", import.meta.url));

const states = [
  nodeSlice("10.0.0.1:8080"),
  nodeSlice("10.0.0.2:8080", { state: "down" }),
  nodeSlice("10.0.0.3:8080", { state: "down", isConclusive: true }),
  nodeSlice("10.0.0.4:8080", { state: "degraded" }),
  nodeSlice("10.0.0.5:8080", { state: "unknown", heldState: "healthy" }),
  nodeSlice("10.0.0.6:8080", { state: "unknown", heldState: "unknown" }),
  nodeSlice("10.0.0.7:8080", { overlay: "drain", attributes: { weight: 20 } }),
  nodeSlice("10.0.0.8:8080", { overlay: "maintenance" }),
];

/** What the golden files show. Key: file name. */
export const goldenViews: Readonly<Record<string, BalancerView>> = {
  "http-states": viewOf(
    haproxyConfig({
      target: proxyTarget({ path: "/etc/haproxy/haproxy.cfg", statsSocket: "/run/haproxy/the admin.sock" }),
      frontends: { web: { bind: ["127.0.0.1:18080"], options: ["http-request set-header X-Front 1"] } },
      globalOptions: ["maxconn 2000"],
      defaultsOptions: ["log global"],
      backendOptions: ["option httpchk GET /health", "cookie node insert indirect nocache"],
      algorithm: "leastconn",
    }),
    [clusterSlice(states)],
  ),
  "http-panic": viewOf(haproxyConfig(), [clusterSlice(states, { isPanicking: true })]),
  "http-attributes": viewOf(haproxyConfig({ isCheckedByProxy: true, slowStartMs: 30_000 }), [
    clusterSlice([
      nodeSlice("10.0.1.1:80", {
        attributes: { weight: 10, maxconn: 100, cookie: "a", comment: 'rack "7" # left' },
      }),
      nodeSlice("10.0.1.2:80", { attributes: { backup: true, check: false, rack: "unknown to HAProxy" } }),
      nodeSlice("10.0.1.3:443", { attributes: { ssl: true, sni: "str(web.example)", alpn: "h2,http/1.1" } }),
      nodeSlice("10.0.1.4:443", { attributes: { ssl: true, verify: "none", send_proxy: true } }),
      nodeSlice("10.0.1.5:80", { attributes: { inter: "500ms", fall: 2, rise: 3, disabled: true } }),
      nodeSlice("[2001:db8::1]:80"),
      nodeSlice("localhost:80"),
      nodeSlice("unix:/run/web/app.sock"),
    ]),
  ]),
  "redis-and-grpc": viewOf(
    haproxyConfig({
      name: "data",
      clusters: ["cache", "rpc"],
      frontends: {
        cache: { bind: ["127.0.0.1:16379"], options: [] },
        rpc: { bind: ["127.0.0.1:18081 proto h2"], options: [] },
      },
    }),
    [
      clusterSlice(
        [nodeSlice("10.0.0.1:6379"), nodeSlice("10.0.0.2:6379", { attributes: { backup: true } })],
        {
          name: "cache",
          type: "redis",
        },
      ),
      clusterSlice([nodeSlice("10.0.0.3:9090")], { name: "rpc", type: "grpc" }),
    ],
  ),
  include: viewOf(haproxyConfig({ mode: "include", backendOptions: ["option httpchk"] }), [
    clusterSlice([nodeSlice("10.0.0.1:80"), nodeSlice("10.0.0.2:80", { state: "down" })]),
  ]),
  marker: viewOf(haproxyConfig({ mode: "marker", clusters: ["web", "static"] }), [
    clusterSlice([
      nodeSlice("10.0.0.1:80", { attributes: { weight: 3 } }),
      nodeSlice("10.0.0.2:80", { state: "down" }),
    ]),
    clusterSlice([nodeSlice("10.0.0.9:80")], { name: "static" }),
  ]),
};
