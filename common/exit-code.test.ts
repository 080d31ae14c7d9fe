import assert from "node:assert/strict";
import { test } from "node:test";

import { ClusterduckError } from "./errors.js";
import type { ErrorCode } from "./errors.js";
import { exitCodeOf } from "./exit-code.js";

test("exitCodeOf() tells apart what scripts have to tell apart", () => {
  const expected: Partial<Record<ErrorCode, number>> = {
    COMMAND_FAILED: 1,
    STOPPING: 1,
    INVALID_ARGUMENT: 2,
    CONFIG_INVALID: 2,
    CONFIG_UNREADABLE: 2,
    NOT_FOUND: 3,
    UNREACHABLE: 4,
    TIMED_OUT: 4,
    CONFLICT: 6,
    UNAUTHENTICATED: 7,
    PERMISSION_DENIED: 7,
  };

  for (const [code, exitCode] of Object.entries(expected)) {
    assert.equal(exitCodeOf(new ClusterduckError(code as ErrorCode, "x")), exitCode, code);
  }
});

test("exitCodeOf() takes an unexpected error for a failure", () => {
  assert.equal(exitCodeOf(new TypeError("a bug")), 1);
  assert.equal(exitCodeOf("thrown text"), 1);
});
