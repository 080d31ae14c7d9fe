import assert from "node:assert/strict";
import { test } from "node:test";

import type { AppliedEntry, Replica } from "../replica.js";
import { emptyState } from "../state/state.js";
import type { EventRecord } from "../state/model.js";
import { eventStream } from "./event-stream.js";

const ALL = { cluster: "", types: [] };

function event(index: number, ordinal = 0, more: Partial<EventRecord> = {}): EventRecord {
  const type = "state" as const;
  return { index, term: 1, ordinal, type, atMs: 0, cluster: "web", addr: "", message: "", data: {}, ...more };
}

/** A replica of which only the events and their announcement are used. */
function replicaWith(past: readonly EventRecord[]) {
  const state = { ...emptyState(), events: [...past] };
  const listeners = new Set<(applied: AppliedEntry) => void>();
  const replaced = new Set<() => void>();
  const replica: Pick<Replica, "state" | "onApplied" | "onReplaced"> = {
    state,
    onApplied: (callback) => {
      listeners.add(callback);
      return () => void listeners.delete(callback);
    },
    onReplaced: (callback) => {
      replaced.add(callback);
      return () => void replaced.delete(callback);
    },
  };
  const emit = (...events: EventRecord[]): void => {
    state.events.push(...events);
    const position = { term: 1, index: events[0]?.index ?? 0 };
    for (const listener of listeners)
      listener({ position, command: null, result: { isAccepted: true }, events });
  };
  /** As a snapshot does it. */
  const replace = (...events: EventRecord[]): void => {
    state.events.splice(0, Infinity, ...events);
    for (const listener of replaced) listener();
  };
  return { replica: replica as Replica, emit, replace, listeners };
}

const names = (events: readonly EventRecord[]): readonly string[] =>
  events.map((each) => `${each.index}.${each.ordinal}`);

async function collect(stream: AsyncIterable<EventRecord>): Promise<readonly EventRecord[]> {
  const all: EventRecord[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

test("a stream that does not follow gives the past after an index, and ends", async () => {
  const { replica } = replicaWith([event(1), event(2), event(2, 1), event(3)]);

  const request = { sinceIndex: 1, follow: false, filter: ALL };
  const seen = await collect(eventStream(replica, request, new AbortController().signal));

  assert.deepEqual(names(seen), ["2.0", "2.1", "3.0"]);
});

test("a stream that follows loses and repeats nothing between the past and what comes", async () => {
  const { replica, emit, listeners } = replicaWith([event(1), event(2)]);
  const abort = new AbortController();
  const stream = eventStream(replica, { sinceIndex: 0, follow: true, filter: ALL }, abort.signal);
  const seen: EventRecord[] = [];

  for await (const each of stream) {
    seen.push(each);
    // New ones arrive while the past is still being read, and after it.
    if (seen.length === 1) emit(event(3), event(3, 1));
    if (seen.length === 4) setImmediate(() => emit(event(4)));
    if (seen.length === 5) abort.abort();
  }

  assert.deepEqual(names(seen), ["1.0", "2.0", "3.0", "3.1", "4.0"]);
  assert.equal(listeners.size, 0);
});

test("a stream goes on over a snapshot with the events that it brought", async () => {
  const { replica, replace, emit } = replicaWith([event(1), event(2)]);
  const abort = new AbortController();
  const seen: EventRecord[] = [];

  for await (const each of eventStream(replica, { sinceIndex: 0, follow: true, filter: ALL }, abort.signal)) {
    seen.push(each);
    if (seen.length === 2) setImmediate(() => replace(event(2), event(7), event(9)));
    if (seen.length === 4) setImmediate(() => emit(event(10)));
    if (seen.length === 5) abort.abort();
  }

  assert.deepEqual(names(seen), ["1.0", "2.0", "7.0", "9.0", "10.0"]);
});

test("a stream gives only the cluster and the types that were asked for", async () => {
  const { replica } = replicaWith([
    event(1, 0, { cluster: "cache" }),
    event(2, 0, { type: "agent.lost", cluster: "" }),
    event(3, 0, { type: "nodes" }),
    event(4),
  ]);
  const read = async (filter: { cluster: string; types: string[] }): Promise<readonly string[]> => {
    const request = { sinceIndex: 0, follow: false, filter };
    return names(await collect(eventStream(replica, request, new AbortController().signal)));
  };

  assert.deepEqual(await read({ cluster: "web", types: [] }), ["3.0", "4.0"]);
  assert.deepEqual(await read({ cluster: "", types: ["agent", "nodes"] }), ["2.0", "3.0"]);
});

test("a stream ends when its reader has fallen too far behind, who then resumes without a gap", async () => {
  const { replica, emit } = replicaWith([event(1)]);
  const { signal } = new AbortController();
  const seen: EventRecord[] = [];

  for await (const each of eventStream(replica, { sinceIndex: 0, follow: true, filter: ALL }, signal)) {
    if (seen.length === 0) emit(...Array.from({ length: 20_000 }, (_, at) => event(2 + at)));
    seen.push(each);
  }
  const last = seen.at(-1)?.index ?? 0;
  const rest = await collect(eventStream(replica, { sinceIndex: last, follow: false, filter: ALL }, signal));

  assert.ok(seen.length < 20_001);
  assert.equal(rest[0]?.index, last + 1);
  assert.equal(rest.at(-1)?.index, 20_001);
});

test("leaving a stream stops listening", async () => {
  const { replica, listeners } = replicaWith([event(1)]);
  const { signal } = new AbortController();

  for await (const _ of eventStream(replica, { sinceIndex: 0, follow: true, filter: ALL }, signal)) break;

  assert.equal(listeners.size, 0);
});
