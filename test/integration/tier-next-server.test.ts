/** duckctl with several servers, of which the first is of no use, and changes whose outcome nobody knows. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { atEnd } from "../support/at-end.js";
import { eventually, startCoordinatorTier } from "../support/coordinator-tier.js";
import { runDuckctl } from "../support/duckctl.js";
import type { CliResult } from "../support/duckctl.js";

const YAML = "clusters: {web: {type: tcp}}";

test("a coordinator that was removed is passed over by changes and questions; a lost answer is called unknown", async (t) => {
  const tier = await startCoordinatorTier(t, { yaml: YAML });
  await tier.settled();
  const [first, second] = [tier.of("c1"), tier.of("c2")];
  const ask = (...args: readonly string[]): Promise<CliResult> =>
    runDuckctl(["-s", `${first.grpc},${second.grpc}`, ...args]);
  assert.equal((await tier.ask("c2", "coordinators", "remove", "c1", "--yes")).code, 0);
  await eventually("c1 has no leader any more", async () =>
    /no leader/i.test((await tier.ask("c1", "status", "--stale")).out),
  );

  const added = await ask("nodes", "add", "web", "10.0.0.1:80");
  const listed = await ask("nodes", "list", "web", "-o", "name");
  const tree = await ask("ls", "clusters");

  assert.deepEqual([added.code, listed.code, tree.code], [0, 0, 0], added.err + listed.err + tree.err);
  assert.match(listed.out, /10\.0\.0\.1:80/);

  const leader = await tier.leader(["c2", "c3"]);
  const follower = tier.of(leader.id === "c2" ? "c3" : "c2");
  follower.program().signal("SIGSTOP");
  atEnd(t, () => void follower.program().signal("SIGCONT"));
  const unknown = await tier.ask(leader.id, "--timeout", "2s", "nodes", "add", "web", "10.0.0.2:80");
  assert.equal(unknown.code, 4, unknown.err);
  assert.match(unknown.err, /may or may not have happened/);
  assert.match(unknown.err, /duckctl events/);
});

for (const role of ["leader", "follower"]) {
  test(`a ${role} that hears nobody any more is passed over as long as the next one has a leader`, async (t) => {
    const tier = await startCoordinatorTier(t, { yaml: YAML });
    await tier.settled();
    const alone = await startCoordinatorTier(t, { yaml: YAML });
    await alone.settled();
    const leader = await alone.leader();
    const isLeft = ({ id }: { readonly id: string }): boolean => (id === leader.id) === (role === "leader");
    const left = alone.members.find(isLeft) ?? leader;
    const lost = alone.members.filter((member) => member !== left);
    // What it sees is what a member sees that is cut off.
    await Promise.all(lost.map((member) => member.program().kill()));
    const servers = [left.grpc, tier.of("c2").grpc];

    const added = await runDuckctl(["-s", servers.join(","), "nodes", "add", "web", "10.0.0.1:80"]);
    const nobody = await runDuckctl([
      "-s",
      [left, ...lost].map(({ grpc }) => grpc).join(","),
      "nodes",
      "list",
      "web",
    ]);

    assert.equal(added.code, 0, added.err);
    assert.match((await tier.duckctl("nodes", "list", "web", "-o", "name")).out, /10\.0\.0\.1:80/);
    assert.equal(nobody.code, 4);
    assert.match(nobody.err, new RegExp(`No leader in term \\d+: ${lost[0]?.id ?? ""} .*has not answered`));
  });
}
