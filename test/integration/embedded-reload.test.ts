import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfigText } from "../../common/config/load.js";
import { startTestTier } from "../support/test-tier.js";

test("a reload of the embedded form gives its agent a new zone even beside settings that wait for a restart", async (t) => {
  const tier = await startTestTier({ yaml: "clusters: {web: {type: tcp}}", withAgent: true });
  t.after(() => tier.stop());
  const agents = ["agents", "list", "-o", "json"];
  const read = (out: string) =>
    (JSON.parse(out) as { id: string; zone: string }[]).map(({ id, zone }) => ({ id, zone }));
  await tier.eventually(agents, ({ out }) => read(out)[0]?.zone === "default");
  const text = `clusters: {web: {type: tcp}}
coordinator: {id: c1, data_dir: ${tier.folder}/coordinator}
agent: {id: renamed, zone: east, state_dir: ${tier.folder}/moved, exec_checks: {c: [echo]}}
`;

  await tier.coordinator.reload({ text, config: parseConfigText(text, join(tier.folder, "file.yaml"), {}) });
  const { out } = await tier.eventually(agents, (result) => read(result.out)[0]?.zone !== "default");

  assert.deepEqual(read(out), [{ id: "a1", zone: "east" }]);
});
