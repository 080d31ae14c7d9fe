import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfigText } from "../common/config/load.js";
import { fakeReplica } from "../test/support/fake-replica.js";
import { haproxyConfig } from "../test/support/haproxy-views.js";
import { takeFileConfig } from "./file-config.js";

const fileOf = (text: string) => ({ text, config: parseConfigText(text, "clusterduck.yaml", {}) });

test("an empty file takes no cluster away, but one that says so does", async () => {
  const replica = fakeReplica([haproxyConfig()], []);

  for (const text of ["", "\n \n", "# all of it\n---\n"]) {
    await assert.rejects(takeFileConfig(replica, fileOf(text)), {
      code: "CONFIG_INVALID",
      message: /is empty/,
    });
  }
  assert.equal(replica.proposed.length, 0);

  assert.equal(await takeFileConfig(replica, fileOf("clusters: {}")), true);
  assert.equal(replica.proposed[0]?.type, "applyConfig");
});

test("an empty file is taken where nothing is configured", async () => {
  assert.equal(await takeFileConfig(fakeReplica([], []), fileOf("")), true);
});
