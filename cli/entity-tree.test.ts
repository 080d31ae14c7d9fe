import assert from "node:assert/strict";
import { test } from "node:test";

import { formatTree, leafPaths, subtree } from "./entity-tree.js";

const TREE = {
  clusters: {
    web: {
      type: "http",
      nodes: { "127.0.0.1:80": "healthy", "unix:/run/a.sock": "down" },
      checks: ["http"],
      triggers: [],
    },
  },
  agents: {},
};

test("subtree() follows words and slashes alike", () => {
  assert.deepEqual(subtree(TREE, []).tree, TREE);
  assert.equal(subtree(TREE, ["clusters", "web", "type"]).tree, "http");
  assert.equal(subtree(TREE, ["clusters/web/type"]).tree, "http");
  assert.equal(subtree(TREE, ["/clusters/web/", "type"]).tree, "http");
});

test("subtree() finds names that hold slashes and colons", () => {
  assert.equal(subtree(TREE, ["clusters", "web", "nodes", "unix:/run/a.sock"]).tree, "down");
  assert.equal(subtree(TREE, ["clusters/web/nodes/unix:/run/a.sock"]).tree, "down");
  assert.equal(subtree(TREE, ["clusters/web/nodes/127.0.0.1:80"]).tree, "healthy");
});

test("subtree() says what there is instead, and where", () => {
  assert.throws(() => subtree(TREE, ["clusters", "api"]), {
    code: "NOT_FOUND",
    message: 'Nothing named "api" below clusters: there is web',
    hint: "duckctl ls clusters",
  });
  assert.throws(() => subtree(TREE, ["agents", "a1"]), { message: /below agents: there is nothing/ });
  assert.throws(() => subtree(TREE, ["constructor"]), { code: "NOT_FOUND" });
});

test("leafPaths() gives paths that subtree() takes back", () => {
  const paths = leafPaths(TREE, []);

  assert.deepEqual(paths, [
    "clusters/web/type",
    "clusters/web/nodes/127.0.0.1:80",
    "clusters/web/nodes/unix:/run/a.sock",
    "clusters/web/checks/http",
  ]);
  for (const path of paths) assert.doesNotThrow(() => subtree(TREE, [path]));
});

test("formatTree() indents what is below", () => {
  assert.equal(
    formatTree(subtree(TREE, ["clusters", "web"]).tree),
    "type  http\nnodes\n  127.0.0.1:80  healthy\n  unix:/run/a.sock  down\nchecks\n  http\ntriggers\n",
  );
});
