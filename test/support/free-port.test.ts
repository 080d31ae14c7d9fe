import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { promisify } from "node:util";

import { canListen, freePorts } from "./free-port.js";

const MANY = 700;
const PROGRAM = `
  import { freePorts } from ${JSON.stringify(new URL("./free-port.ts", import.meta.url).href)};
  process.stdout.write(JSON.stringify(await freePorts(${MANY})));
  await new Promise((resolve) => process.stdin.once("end", resolve).resume());
`;

test("no two processes get the same port while both run, and no port is handed out twice", async () => {
  const children = [1, 2, 3].map(() => {
    const running = anotherProcess();
    const { stdout } = running.child;
    assert.ok(stdout !== null);
    return { running, printed: once(stdout, "data").then(([text]) => JSON.parse(String(text)) as number[]) };
  });
  const theirs = await Promise.all(children.map(({ printed }) => printed));
  const own = [await freePorts(MANY), await freePorts(MANY)];
  const all = [...theirs, ...own].flat();
  assert.equal(new Set(all).size, 5 * MANY);

  for (const { running } of children) running.child.stdin?.end();
  await Promise.all(children.map(({ running }) => running));
});

test("the end of a process frees its ports", async () => {
  const running = anotherProcess();
  running.child.stdin?.end();
  const { stdout } = await running;
  const ports = JSON.parse(stdout) as number[];
  const free = await Promise.all(ports.map(async (port) => (await canBind(port)) && (await canListen(port))));
  // A test beside this one may have been given some of them by now.
  assert.ok(free.filter(Boolean).length > 0.8 * MANY);
});

function anotherProcess() {
  const args = ["--import", "tsx", "--input-type=module", "--eval", PROGRAM];
  return promisify(execFile)(process.execPath, args);
}

async function canBind(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  socket.bind({ port, address: "127.0.0.1", exclusive: true });
  const isBound = await once(socket, "listening").then(
    () => true,
    () => false,
  );
  socket.close();
  return isBound;
}
