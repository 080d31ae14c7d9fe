import assert from "node:assert/strict";
import { endianness } from "node:os";
import { test } from "node:test";
import { parseAddress } from "../../common/model/address.js";
import { isMatch, matchOf, parseTcpListeners, parseUnixListeners } from "./proc-net.js";
import { parseStat } from "./proc-pid.js";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const LISTENING =
  "   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0\n";
const CONNECTED =
  "   1: 0100007F:18EB 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1\n";

test("reading stops at the first socket that does not listen, and a line cut in the middle waits", () => {
  assert.deepEqual(parseTcpListeners(HEAD + LISTENING + CONNECTED + LISTENING), {
    listeners: [{ local: "0100007F", port: 6379, inode: "4711" }],
    isComplete: true,
    rest: "",
  });
  const cut = parseTcpListeners(HEAD + LISTENING + LISTENING.slice(0, 60));
  assert.equal(cut.listeners.length, 1);
  assert.equal(cut.isComplete, false);
  const next = parseTcpListeners(cut.rest + LISTENING.slice(60) + CONNECTED);
  assert.deepEqual(next.listeners, cut.listeners);
  assert.equal(next.isComplete, true);
});

test("only unix sockets that accept connections and have a path are listeners", () => {
  const text = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 900 /run/redis.sock
0000000000000000: 00000003 00000000 00000000 0001 03 901 /run/redis.sock
0000000000000000: 00000002 00000000 00010000 0001 01 902
`;

  assert.deepEqual(parseUnixListeners(text), [{ local: "/run/redis.sock", port: 0, inode: "900" }]);
});

test(
  "a listener on a wildcard, also of the other family, takes connections to an address",
  { skip: endianness() !== "LE" },
  () => {
    const match = matchOf(parseAddress("127.0.0.1:6379"), ["127.0.0.1"]);
    assert.ok(match !== null);
    const at = (local: string, port = 6379) => isMatch({ local, port, inode: "1" }, match);

    assert.equal(at("0100007F"), true);
    assert.equal(at("00000000"), true);
    assert.equal(at("00000000000000000000000000000000"), true);
    assert.equal(at("0000000000000000FFFF00000100007F"), true);
    assert.equal(at("0200007F"), false);
    assert.equal(at("0100007F", 6380), false);
  },
);

test("a process whose name looks like fields is read right, and one that is exiting is seen", () => {
  const fields = (state: string, flags: number) =>
    `${state} 1 2 3 0 -1 ${flags} 0 0 0 0 0 0 0 0 20 0 1 0 987654 1 2`;

  assert.deepEqual(parseStat(`42 (a) R 1 (b) ${fields("S", 0x40_00_00)}`), {
    isEnding: false,
    startTicks: 987_654,
  });
  assert.equal(parseStat(`42 (redis) ${fields("Z", 0)}`).isEnding, true);
  assert.equal(parseStat(`42 (redis) ${fields("R", 0x4)}`).isEnding, true);
});
