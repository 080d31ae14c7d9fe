import assert from "node:assert/strict";
import { test } from "node:test";

import { generationOf } from "../../common/model/generation.js";
import { withoutHostLine, withStatsSocket } from "./stats-socket.js";

const WHOLE = ["global", "  setenv CD_GEN 0123", "", "defaults", "  mode http", ""].join("\n");

test("the host's stats socket joins a whole file that has none, and leaves its generation alone", () => {
  const text = withStatsSocket(WHOLE, "/run/ha proxy.sock");

  assert.match(
    text,
    /^global\n {2}setenv CD_GEN 0123\n {2}stats socket \/run\/ha\\ proxy\.sock mode 600 level admin expose-fd listeners #/,
  );
  assert.equal(withoutHostLine(text), WHOLE);
  assert.equal(generationOf(withoutHostLine(text)), generationOf(WHOLE));
});

test("a file that has a stats socket, an include file, and a host without a socket stay as they are", () => {
  const declared = WHOLE.replace("\n\n", "\n  stats socket /run/other.sock\n\n");
  const include = ["global", "  setenv CD_GEN 0123", "", "backend web", ""].join("\n");

  assert.equal(withStatsSocket(declared, "/run/a.sock"), declared);
  assert.equal(withStatsSocket(include, "/run/a.sock"), include);
  assert.equal(withStatsSocket(WHOLE, null), WHOLE);
});
