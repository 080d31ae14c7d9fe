/** Many at once: writers of the configuration beside writers of nodes, a burst of trigger runs, clients that never finish. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ClusterduckError } from "../../common/errors.js";
import { atEnd } from "../support/at-end.js";
import { coordinatorYaml, startCoordinatorProgram, temporaryFolder } from "../support/coordinator-program.js";
import { runDuckctl } from "../support/test-tier.js";

test("configurations applied by several people beside nodes that come and go: no change is lost, and a late one is a conflict", async (t) => {
  const { control, addrs } = await startCoordinatorProgram(
    t,
    coordinatorYaml("clusters: {web: {type: http}}"),
  );
  const conflicts: ClusterduckError[] = [];
  const applyOnce = async (cluster: string): Promise<boolean> => {
    const { yaml, revision } = await control.getConfig({});
    const next = yaml.replace("clusters: {", `clusters: {${cluster}: {type: tcp}, `);
    try {
      await control.applyConfig({ yaml: next, ifRevision: revision });
      return true;
    } catch (thrown) {
      assert.ok(thrown instanceof ClusterduckError && thrown.code === "CONFLICT", String(thrown));
      conflicts.push(thrown);
      return false;
    }
  };
  const applier = async (person: number): Promise<void> => {
    for (let at = 0; at < 5; at++) while (!(await applyOnce(`c${person}-${at}`)));
  };
  const writer = async (number: number): Promise<void> => {
    for (let at = 0; at < 20; at++) {
      const node = { cluster: "web", addr: `10.0.${number}.${at}:80` };
      await control.addNode({ node });
      if (at % 2 === 1) await control.removeNode({ node });
    }
  };

  await Promise.all([1, 2, 3, 4].flatMap((number) => [applier(number), writer(number)]));

  const wanted = [1, 2, 3, 4].flatMap((person) => [0, 1, 2, 3, 4].map((at) => `c${person}-${at}`));
  const { clusters } = await control.listClusters({});
  assert.deepEqual(clusters.map(({ name }) => name).sort(), [...wanted, "web"].sort());
  const kept = [1, 2, 3, 4].flatMap((number) =>
    Array.from({ length: 10 }, (_, at) => `10.0.${number}.${at * 2}:80`),
  );
  assert.deepEqual([...(await addrs())].sort(), kept.sort());
  assert.ok(conflicts.length > 0, "nobody was in anybody's way");
  for (const { message } of conflicts) {
    assert.match(message, /^Cannot apply .*revision \d+.* (at revision|current one is) \d+$/);
  }
});

test("a thousand runs at once: at most eight go together, none is lost, and each cluster's go in order", async (t) => {
  const folder = temporaryFolder(t);
  const names = Array.from({ length: 50 }, (_, at) => `c${at}`);
  const trigger = `{name: t, on: [nodes], do: [{type: shell, cwd: ${folder}, commands: ['echo + >> log; echo $nodes_count >> $CLUSTER; sleep 0.05; echo - >> log']}]}`;
  const clusters = names.map((name) => `  ${name}: {type: tcp, triggers: [${trigger}]}`);
  const yaml = coordinatorYaml(`clusters:\n${clusters.join("\n")}`);
  const { control } = await startCoordinatorProgram(t, yaml, folder);
  const add = (cluster: string, at: number) =>
    control.addNode({ node: { cluster, addr: `10.0.0.${at}:80` } });

  await Promise.all(
    names.map(async (name) => {
      for (let at = 1; at <= 20; at++) await add(name, at);
    }),
  );
  const isOver = async (): Promise<boolean> => {
    const answers = await Promise.all(names.map((cluster) => control.listRuns({ cluster, limit: 1 })));
    return answers.every(({ runs }) => runs[0]?.outcome === "succeeded");
  };
  const deadlineMs = performance.now() + 120_000;
  while (!(await isOver())) {
    assert.ok(performance.now() < deadlineMs, "the runs never end");
    await delay(200);
  }

  const inOrder = Array.from({ length: 20 }, (_, at) => String(at + 1));
  for (const name of names) assert.deepEqual(linesOf(join(folder, name)), inOrder, name);
  let together = 0;
  let most = 0;
  for (const sign of linesOf(join(folder, "log"))) {
    together += sign === "+" ? 1 : -1;
    most = Math.max(most, together);
  }
  assert.ok(most > 2 && most <= 8, `${most} together`);
  t.diagnostic(`at most ${most} together`);
});

test("four hundred clients that send a byte now and then keep nobody else waiting", async (t) => {
  const { grpc, http, addrs } = await startCoordinatorProgram(
    t,
    coordinatorYaml("clusters: {web: {type: http}}"),
  );
  const sockets: Socket[] = [];
  atEnd(t, () => sockets.forEach((socket) => socket.destroy()));
  const open = async (address: string, begin: string): Promise<void> => {
    const socket = connect(Number(address.split(":").at(-1)), "127.0.0.1");
    socket.on("error", () => undefined);
    sockets.push(socket);
    await once(socket, "connect");
    socket.write(begin);
  };
  for (let at = 0; at < 200; at++) {
    await open(http, "GET /livez HTTP/1.1\r\nHost: x\r\n");
    await open(
      grpc,
      at % 2 === 0 ? "PRI * HT" : "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x04\x04\0\0\0\0\0\0\0\x20\x01\x05",
    );
  }

  let slowestMs = 0;
  for (let round = 0; round < 20; round++) {
    for (const socket of sockets) if (socket.writable) socket.write("a");
    const startedMs = performance.now();
    const [livez] = await Promise.all([fetch(`http://${http}/livez`), addrs()]);
    assert.equal(await livez.text(), "ok\n");
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
    await delay(100);
  }

  t.diagnostic(`slowest answer: ${Math.round(slowestMs)} ms`);
  assert.ok(slowestMs < 2_000, `${slowestMs} ms`);
});

test("a configuration of five megabytes is validated, applied over the network, and compared", async (t) => {
  const { grpc, folder } = await startCoordinatorProgram(t, coordinatorYaml("clusters: {web: {type: http}}"));
  const nodes = Array.from({ length: 10_000 }, (_, at) => {
    const addr = `10.1.${at >> 8}.${at & 255}:80`;
    return `      - {addr: "${addr}", comment: "${"what somebody wrote about it ".repeat(17)}"}`;
  });
  const file = join(folder, "large.yaml");
  writeFileSync(file, `clusters:\n  web:\n    type: http\n    nodes:\n${nodes.join("\n")}\n`);
  assert.ok(statSync(file).size > 5_000_000);
  const duckctl = (...words: readonly string[]) =>
    runDuckctl(["config", ...words, file, "--timeout", "60s"], { env: { DUCK_SERVER: grpc } });

  const answers = [];
  for (const words of [["validate"], ["diff"], ["apply"], ["diff"]]) answers.push(await duckctl(...words));

  assert.deepEqual(
    answers.map(({ code }) => code),
    [0, 1, 0, 0],
    answers.map(({ err }) => err.slice(0, 500)).join(),
  );
});

function linesOf(path: string): readonly string[] {
  return readFileSync(path, "utf8").trim().split("\n");
}
