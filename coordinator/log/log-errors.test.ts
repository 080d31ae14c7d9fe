import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterduckError } from "../../common/errors.js";
import { failed } from "./log-errors.js";

test("after a failure of the disk, the error says what helps against that", () => {
  const failure = new ClusterduckError("DISK_FAILED", "Cannot sync the log", { hint: "Look at the disk" });

  const { code, hint, message } = failed("Cannot propose", failure);

  assert.deepEqual([code, hint], ["DISK_FAILED", "Look at the disk"]);
  assert.equal(message, "Cannot propose: the log has stopped after a failure (Cannot sync the log)");
});

test("a bug is not taken for a failure of the disk", () => {
  const { code, hint, cause } = failed("Cannot propose", new TypeError("x is undefined"));

  assert.equal(code, "COMMAND_FAILED");
  assert.match(hint ?? "", /start it again/);
  assert.ok(cause instanceof TypeError);
});
