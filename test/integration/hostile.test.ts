/** What a coordinator meets that nobody wished for: strangers on its ports, rivals, pauses, sudden death. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { atEnd } from "../support/at-end.js";
import { coordinatorYaml, startCoordinatorProgram, temporaryFolder } from "../support/coordinator-program.js";
import { runProgram } from "../support/program.js";

const EMPTY = "clusters: {web: {type: http}}";
const PAUSE_MS = 8_000;

test("garbage, wrong protocols and a thousand half-open connections leave both ports answering", async (context) => {
  const { grpc, http, addrs } = await startCoordinatorProgram(context, coordinatorYaml(EMPTY));
  const sockets: Socket[] = [];
  atEnd(context, () => sockets.forEach((socket) => socket.destroy()));
  const send = async (address: string, bytes: Buffer | string): Promise<void> => {
    const socket = connect(Number(address.split(":").at(-1)), "127.0.0.1");
    socket.on("error", () => undefined);
    sockets.push(socket);
    await once(socket, "connect");
    socket.write(bytes);
  };
  const tlsHello = Buffer.from(`16030100c8010000c40303${"ab".repeat(200)}`, "hex");
  for (const address of [grpc, http]) {
    await send(address, Buffer.alloc(65_536, 0xa5));
    await send(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await send(address, tlsHello);
    await send(
      address,
      Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Buffer.alloc(4_096, 0xff)]),
    );
    await send(address, `GET /${"a".repeat(1_000_000)} HTTP/1.1\r\n\r\n`);
    for (let at = 0; at < 500; at++) await send(address, "GET /livez HT");
  }

  assert.deepEqual(await addrs(), []);
  assert.equal(await (await fetch(`http://${http}/livez`)).text(), "ok\n");
});

test("addresses and attributes that a file could not give are refused over gRPC as well, and nothing is added", async (context) => {
  const { control, addrs } = await startCoordinatorProgram(context, coordinatorYaml(EMPTY));
  const add = (addr: string, attributes = {}) =>
    control.addNode({ node: { cluster: "web", addr }, attributes });

  for (const addr of [
    "10.0.0.1:80\nserver evil 10.9.9.9:80",
    "10.0.0.1:80 check",
    "10.0.0.1:0",
    "",
    "unix:/a b",
  ]) {
    await assert.rejects(add(addr), { code: "INVALID_ARGUMENT" });
  }
  await assert.rejects(add("10.0.0.1:80", { cookie: "a\nserver evil" }), { code: "INVALID_ARGUMENT" });
  await assert.rejects(add("10.0.0.1:80", { weight: "banana" }), {
    code: "INVALID_ARGUMENT",
    message: /"weight": expected a number, found the text "banana"/,
  });
  await assert.rejects(add("10.0.0.1:80", { comment: "x".repeat(5_000_000) }));

  assert.deepEqual(await addrs(), []);
});

test("a second coordinator on the same data or the same port ends with what is wrong, and the first goes on", async (context) => {
  const first = await startCoordinatorProgram(context, coordinatorYaml(EMPTY));
  const rival = async (yaml: string, folder: string) => {
    const file = join(folder, "rival.yaml");
    writeFileSync(file, yaml);
    const program = runProgram("duck-coordinator", ["-c", file]);
    atEnd(context, () => program.kill());
    assert.equal(await program.ended, 1);
    return program.text();
  };

  const sameData = await rival(coordinatorYaml(EMPTY), first.folder);
  const samePort = await rival(coordinatorYaml(EMPTY, `listen: "${first.grpc}"`), temporaryFolder(context));

  assert.match(sameData, new RegExp(`the process with pid ${first.program.pid} is using it`));
  assert.match(samePort, new RegExp(`Cannot listen on ${first.grpc}: the address is in use`));
  assert.deepEqual(await first.addrs(), []);
});

test("a pause of the whole process takes no node down", async (context) => {
  const service = createServer((_request, response) => void response.end("ok")).listen(0, "127.0.0.1");
  await once(service, "listening");
  atEnd(context, () => {
    service.closeAllConnections();
    service.close();
  });
  const { port } = service.address() as AddressInfo;
  const check = "{type: http, url: /, every: 200ms, timeout: 500ms}";
  const { program, control } = await startCoordinatorProgram(
    context,
    coordinatorYaml(`clusters: {web: {type: http, nodes: ["127.0.0.1:${port}"], health_checks: [${check}]}}`),
  );
  await program.event((line) => line.event === "cut.committed");

  program.signal("SIGSTOP");
  await delay(PAUSE_MS);
  program.signal("SIGCONT");
  // Longer than three failures would take to become a verdict.
  await delay(3_000);

  const states: string[] = [];
  for await (const { event } of control.watchEvents({ follow: false })) {
    if (event?.type === "state") states.push(event.message);
  }
  assert.ok(states.length >= 1);
  assert.deepEqual(
    states.filter((message) => message.includes("→ down")),
    [],
  );
});
