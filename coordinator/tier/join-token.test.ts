import assert from "node:assert/strict";
import { test } from "node:test";
import { peekJoinToken, readJoinToken, writeJoinToken } from "./join-token.js";

const TOKEN = { id: "t1", coordinatorId: "c4", clusterId: "k1", authority: "ab", expiresAtMs: 10_000 };

test("a join token is one word that says whom it lets in, and only its tier can have written it", () => {
  const text = writeJoinToken(TOKEN, "secret");

  assert.match(text, /^[\w.-]+$/);
  assert.deepEqual(peekJoinToken(`${text}\n`), TOKEN);
  assert.deepEqual(readJoinToken(`${text}\n`, "secret", 9_999), TOKEN);
  assert.throws(() => readJoinToken(text, "another", 0), {
    code: "NOT_ADMITTED",
    message: /not made by/,
  });
  assert.throws(() => readJoinToken(text, "", 0), { code: "NOT_ADMITTED" });
  assert.throws(() => readJoinToken(text, "secret", 10_000), { message: /expired at 1970-01-01T00:00:10/ });
});

test("a token that was changed anywhere is refused", () => {
  const text = writeJoinToken(TOKEN, "secret");
  const forged = writeJoinToken({ ...TOKEN, coordinatorId: "c5" }, "guess");

  assert.throws(() => readJoinToken(forged, "secret", 0), { code: "NOT_ADMITTED" });
  const spliced = [...forged.split(".").slice(0, 2), text.split(".")[2]].join(".");
  assert.throws(() => readJoinToken(spliced, "secret", 0), { code: "NOT_ADMITTED" });
  for (const broken of ["", "x", "duckjoin1", "duckjoin1.e30.x", text.slice(1), `${text}.x`]) {
    assert.throws(() => readJoinToken(broken, "secret", 0), { code: "INVALID_ARGUMENT" }, broken);
  }
});
