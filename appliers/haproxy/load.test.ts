import assert from "node:assert/strict";
import { test } from "node:test";

import { systemClock } from "../../common/clock.js";
import { generationOf, markerOf } from "../../common/model/generation.js";
import { bundleFixture } from "../../test/support/delivery-fixtures.js";
import { proxyTarget } from "../../test/support/haproxy-views.js";
import type { MemoryStore } from "./memory.js";
import { compose } from "./desired.js";
import { load } from "./load.js";
import type { ProxyLink, Sight } from "./proxy-link.js";

test("an old worker that still answers after the reload is not taken for the new one", async () => {
  const text = "global\n  setenv CD_GEN 0123\n\ndefaults\n  mode http\n";
  const generation = generationOf(text);
  const bundle = bundleFixture(generation, { files: [{ role: "config", text }] });
  const target = proxyTarget({
    path: "/x.cfg",
    reload: { kind: "command", command: "true", timeoutMs: 5_000 },
  });
  const memory = {
    version: 1 as const,
    path: target.path,
    fencing: { term: 0, index: 0 },
    loaded: null,
    validated: "",
    adopted: null,
  };
  const desired = compose(bundle, null, target, memory);
  assert.equal(desired.kind, "composed");
  const old = sightOf("1@1", "older");
  const looks = [old, old, sightOf("2@2", markerOf(generation))];
  const workers = ["1@1", "2@2"];
  const link: ProxyLink = {
    canAsk: true,
    look: async () => old,
    bring: async () => looks.shift() ?? old,
    worker: async () => workers.shift() ?? "2@2",
  };
  const store: MemoryStore = {
    load: async () => memory,
    save: async () => undefined,
    loadLastGood: async () => null,
    saveLastGood: async () => undefined,
  };

  const result = await load(
    { target, store, link, clock: systemClock, reloads: { lastMs: null }, hasNewer: () => false },
    { bundle, memory, onDisk: null, desired, signal: new AbortController().signal },
    { validated: "", warnings: [], sight: old, removed: [], blind: null },
  );

  assert.deepEqual([result.error, result.method, result.observedGeneration], ["", "reload", generation]);
});

function sightOf(worker: string, marker: string): Sight {
  return {
    kind: "seen",
    running: { worker, marker, servers: new Map() },
    isMatched: true,
    difference: "",
    commands: 0,
    note: "",
  };
}
