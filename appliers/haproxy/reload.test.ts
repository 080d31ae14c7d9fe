import assert from "node:assert/strict";
import { test } from "node:test";

import { parseProcesses } from "./reload.js";

test("the newest worker is the one that has seen no reload", () => {
  const text = [
    "#<PID>          <type>          <reloads>       <uptime>        <version>",
    "7324            master          3 [failed: 0]   0d00h00m35s     2.6.12-1",
    "# workers",
    "7746            worker          0               0d00h00m00s     2.6.12-1",
    "# old workers",
    "7411            worker          1               0d00h00m34s     2.6.12-1",
  ].join("\n");

  assert.deepEqual(parseProcesses(text), { reloads: 3, failed: 0, newestWorker: 7746 });
});

test("after a failed reload there is no such worker, and the master counts", () => {
  const text = [
    "7324            master          2 [failed: 1]   0d00h00m35s     2.6.12-1",
    "7411            worker          1               0d00h00m34s     2.6.12-1",
  ].join("\n");

  assert.deepEqual(parseProcesses(text), { reloads: 2, failed: 1, newestWorker: null });
});

test("HAProxy 2.4 shows no count of failures", () => {
  const text = "12   master   0   0d00h00m35s   2.4.22\n13   worker   0   0d00h00m35s   2.4.22\n";

  assert.deepEqual(parseProcesses(text), { reloads: 0, failed: 0, newestWorker: 13 });
});
