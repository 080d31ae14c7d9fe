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
    const running = promisify(execFile)(process.execPath, [
      "--import",
      "tsx",
      "--input-type=module",
      "--eval",
      PROGRAM,
    ]);
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
  const running = promisify(execFile)(process.execPath, [
    "--import",
    "tsx",
    "--input-type=module",
    "--eval",
    PROGRAM,
  ]);
  running.child.stdin?.end();
  const { stdout } = await running;
  for (const port of (JSON.parse(stdout) as number[]).slice(0, 20)) {
    assert.ok(await canListen(port));
    const socket = createSocket("udp4");
    socket.bind({ port, address: "127.0.0.1", exclusive: true });
    await once(socket, "listening");
    socket.close();
  }
});
