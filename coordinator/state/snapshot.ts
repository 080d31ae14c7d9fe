import { ClusterduckError, messageOf } from "../../common/errors.js";
import { assertKnown } from "./features.js";
import type { FeatureLevel } from "./model.js";
import { emptyState } from "./state.js";
import type { State } from "./state.js";

/*
 * A state as lines of JSON: one of what stands alone, then one per record, then the number of records.
 * Lines keep the pieces small, and a snapshot readable with everyday tools.
 */
const FORMAT = "clusterduck-state";
const VERSION = 1;
/** Records encoded in one go; some hundred microseconds. */
const RECORDS_PER_PIECE = 200;

const NEWLINE = 10;
const MAPS = [
  "nodes",
  "agents",
  "panics",
  "runs",
  "deliveries",
  "members",
  "joinTokens",
  "requests",
] as const;
const LISTS = ["events", "cuts"] as const;

/** In pieces, so that the caller can let others run in between. */
export function* encodeState(state: State): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  const { clusterId, index, term, atMs, config, joinSecret, featureLevel } = state;
  const own = { clusterId, index, term, atMs, config, joinSecret, featureLevel };
  const head = { format: FORMAT, version: VERSION, ...own };
  yield encoder.encode(`${JSON.stringify(head)}\n`);
  let count = 0;
  let lines: string[] = [];
  for (const line of records(state)) {
    lines.push(JSON.stringify(line), "\n");
    count++;
    if (count % RECORDS_PER_PIECE !== 0) continue;
    yield encoder.encode(lines.join(""));
    lines = [];
  }
  lines.push(JSON.stringify(["end", count]), "\n");
  yield encoder.encode(lines.join(""));
}

/** @throws ClusterduckError VERSION_UNSUPPORTED or LOG_CORRUPT. */
export function decodeState(bytes: Uint8Array): State {
  try {
    const [first = "", ...lines] = new TextDecoder("utf-8", { fatal: true }).decode(bytes).split("\n");
    const state = decodeHead(JSON.parse(first) as Head);
    let count = 0;
    for (const line of lines) {
      if (line === "") continue;
      const record = JSON.parse(line) as readonly [string, ...unknown[]];
      if (record[0] === "end" && record[1] === count) return state;
      take(state, record);
      count++;
    }
    throw new Error(`it ends after ${count} records`);
  } catch (thrown) {
    if (thrown instanceof ClusterduckError) throw thrown;
    throw new ClusterduckError("LOG_CORRUPT", `Cannot read the state in the snapshot: ${messageOf(thrown)}`, {
      cause: thrown,
      hint: "Use another snapshot: duck-coordinator snapshot restore FILE",
    });
  }
}

/**
 * The same bytes for whoever keeps them elsewhere, without what join tokens are signed with: a tier that begins from
 * them makes a secret of its own, and a lost file lets nobody in. Tokens that were open are worth nothing there.
 */
export function withoutJoinSecret(bytes: Uint8Array): Uint8Array {
  const rest = bytes.subarray(bytes.indexOf(NEWLINE) + 1);
  const line = bytes.subarray(0, bytes.length - rest.length);
  const head = { ...(JSON.parse(new TextDecoder().decode(line)) as Head), joinSecret: "" };
  const first = new TextEncoder().encode(`${JSON.stringify(head)}\n`);
  const result = new Uint8Array(first.length + rest.length);
  result.set(first);
  result.set(rest, first.length);
  return result;
}

type Head = Pick<State, "clusterId" | "index" | "term" | "atMs" | "config"> & {
  /** Absent in snapshots from before there were tiers. */
  readonly joinSecret?: string;
  /** Absent in snapshots from before there were levels. */
  readonly featureLevel?: FeatureLevel;
  readonly format: unknown;
  readonly version: unknown;
};

function decodeHead(head: Head): State {
  if (head.format !== FORMAT)
    throw new Error(`its format is ${JSON.stringify(head.format)}, not "${FORMAT}"`);
  if (head.version !== VERSION) {
    throw new ClusterduckError(
      "VERSION_UNSUPPORTED",
      `Cannot read the state in the snapshot: it has version ${JSON.stringify(head.version)}, this program reads ${VERSION}`,
      { hint: "A newer version of clusterduck wrote it: start that version here" },
    );
  }
  const empty = emptyState();
  const { clusterId, index, term, atMs, config } = head;
  const { joinSecret = empty.joinSecret, featureLevel = empty.featureLevel } = head;
  assertKnown(featureLevel);
  return { ...empty, clusterId, index, term, atMs, config, joinSecret, featureLevel };
}

function* records(state: State): Generator<readonly unknown[]> {
  for (const name of MAPS) for (const [key, value] of state[name]) yield [name, key, value];
  for (const name of LISTS) for (const value of state[name]) yield [name, value];
}

function take(state: State, record: readonly [string, ...unknown[]]): void {
  const [name, first, second] = record;
  const map = MAPS.find((each) => each === name);
  const list = LISTS.find((each) => each === name);
  if (map !== undefined && typeof first === "string") {
    (state[map] as Map<string, unknown>).set(first, second);
  } else if (list !== undefined) {
    (state[list] as unknown[]).push(first);
  } else {
    throw new ClusterduckError(
      "VERSION_UNSUPPORTED",
      `Cannot read the state in the snapshot: record type ${JSON.stringify(name)} is unknown`,
      { hint: "A newer version of clusterduck wrote it: start that version here" },
    );
  }
}
