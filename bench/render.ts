/**
 * What rendering costs: `node --import tsx bench/render.ts [SERVERS...]`. Target: 10,000 servers under 50 ms.
 * Processor time, so that a busy machine does not count; tsx adds to it what a bundle does not have.
 */
import { readConfiguration } from "../appliers/haproxy/server-lines.js";
import { balancerView } from "../coordinator/render/balancer-view.js";
import { renderHaproxy } from "../coordinator/render/haproxy/render.js";
import { fakeReplica, nodeRecord } from "../test/support/fake-replica.js";
import { haproxyConfig } from "../test/support/haproxy-views.js";

const ROUNDS = 30;
const sizes = process.argv.slice(2).map(Number);

for (const size of sizes.length > 0 ? sizes : [10, 1_000, 10_000]) {
  const nodes = Array.from({ length: size }, (_, at) =>
    nodeRecord("web", `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}:8080`, {
      state: at % 50 === 0 ? "down" : "healthy",
      attributes: { weight: (at % 10) + 1, maxconn: 100 },
    }),
  );
  const { state } = fakeReplica([haproxyConfig()], nodes);
  let text = "";
  const render = measure(() => {
    const view = balancerView(state, "front");
    const rendering = view === null ? null : renderHaproxy(view);
    text = rendering?.kind === "rendered" ? (rendering.files[0]?.text ?? "") : "";
  });
  const read = measure(() => readConfiguration(text, "all"));
  const [first, median, worst] = render;
  console.log(
    `${size} servers: render first ${first} ms, median ${median} ms, worst ${worst} ms; ` +
      `read back median ${read[1]} ms; ${text.length} bytes`,
  );
}

function measure(work: () => void): readonly [string, string, string] {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1_000);
  }
  const first = times[0] ?? 0;
  times.sort((a, b) => a - b);
  return [first, times[ROUNDS / 2] ?? 0, times.at(-1) ?? 0].map((ms) => ms.toFixed(1)) as [
    string,
    string,
    string,
  ];
}
