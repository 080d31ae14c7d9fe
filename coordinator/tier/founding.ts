/**
 * How coordinators that find each other agree on one tier, and never on two. Each promises one list of founders,
 * durably, and founds it once every founder on it has promised the same. Two lists with a founder in common
 * can therefore not both be founded. Pure.
 */
import { createHash } from "node:crypto";

export type Founder = {
  readonly id: string;
  /** Where the others reach it. */
  readonly address: string;
  /** Of its data directory. */
  readonly diskId: string;
};

/** What one coordinator says of itself and of what it has heard. */
export type FoundingView = {
  readonly self: Founder;
  /** How many are to found the tier. */
  readonly expect: number;
  readonly known: readonly Founder[];
  /** Null: none yet. */
  readonly promised: readonly Founder[] | null;
  /** Empty before it belongs to a tier. */
  readonly clusterId: string;
  /** Members of that tier, and those that were. */
  readonly members: readonly Founder[];
};

export type FoundingStep =
  /** `missing`: how many more have to be found; 0: their promises are waited for. */
  | { readonly kind: "wait"; readonly known: readonly Founder[]; readonly missing: number }
  /** To be made durable, and then told. */
  | { readonly kind: "promise"; readonly founders: readonly Founder[] }
  | { readonly kind: "found"; readonly clusterId: string; readonly founders: readonly Founder[] }
  /** There is a tier already, which it has not promised anything against. */
  | {
      readonly kind: "meet";
      readonly clusterId: string;
      readonly addresses: readonly string[];
      readonly refusal: Extract<FoundingStep, { kind: "refuse" }>;
    }
  /** It cannot become anything by itself. */
  | { readonly kind: "refuse"; readonly problem: string; readonly remedy: string };

/** `heard`: the newest view of every other coordinator that was reached, by address. */
export function nextStep(own: FoundingView, heard: readonly FoundingView[]): FoundingStep {
  const problem = tierProblem(own, heard) ?? listProblem(own, heard);
  if (problem !== null) return problem;
  const known = unionOf(own, heard);
  if (own.promised !== null) return afterPromise(own, own.promised, heard, known);
  // Only who was heard itself can be counted on; hearsay tells where to ask.
  const present = unique([own.self, ...heard.map(({ self }) => self)]);
  if (present.length < own.expect) return { kind: "wait", known, missing: own.expect - present.length };
  if (present.length > own.expect) {
    return refuse(
      `${present.length} coordinators found each other (${names(present)}), expected ${own.expect}`,
      `Bootstrap with --expect ${present.length}, or stop those that do not belong to it`,
    );
  }
  return { kind: "promise", founders: sorted(present) };
}

/** The same for all who found the same list. */
export function clusterIdOf(founders: readonly Founder[]): string {
  return createHash("sha256").update(listText(founders)).digest("hex").slice(0, 26);
}

function afterPromise(
  own: FoundingView,
  promised: readonly Founder[],
  heard: readonly FoundingView[],
  known: readonly Founder[],
): FoundingStep {
  const others = promised.filter(({ id }) => id !== own.self.id);
  for (const { id, diskId } of others) {
    const view = heard.find(({ self }) => self.id === id);
    if (view === undefined || view.promised === null) {
      if (view !== undefined && view.self.diskId !== diskId) return broken(id);
      return { kind: "wait", known, missing: 0 };
    }
    if (listText(view.promised) !== listText(promised)) return broken(id);
  }
  return { kind: "found", clusterId: clusterIdOf(promised), founders: sorted(promised) };
}

function broken(id: string): FoundingStep {
  return refuse(
    `Coordinator "${id}" has promised another list of founders, or has lost its data directory since`,
    "Nothing was founded: stop all of them, remove their data directories, and begin again",
  );
}

/** Somebody belongs to a tier already. */
function tierProblem(own: FoundingView, heard: readonly FoundingView[]): FoundingStep | null {
  const founded = heard.find(({ clusterId }) => clusterId !== "");
  if (founded === undefined) return null;
  const { clusterId, members, self } = founded;
  const place = members.find(({ id }) => id === own.self.id);
  if (place?.diskId === own.self.diskId && own.promised !== null && clusterIdOf(own.promised) === clusterId)
    return { kind: "found", clusterId, founders: own.promised };
  if (place !== undefined && place.diskId !== own.self.diskId) {
    return refuse(
      `Coordinator "${own.self.id}" was a member of tier ${clusterId} and has lost its data directory: it forgot which votes it gave, so it may not come back under its old id`,
      `On another member: duckctl coordinators remove ${own.self.id}; then give this one another id and let it join: duckctl tokens create NEW_ID`,
    );
  }
  const refusal = refuse(
    `Coordinator "${self.id}" at ${self.address} belongs to tier ${clusterId} already`,
    "Let this one join that tier: `duckctl coordinators add ID` on a member tells how; or by the passphrase that both have",
  );
  if (own.promised !== null) return refusal;
  const addresses = [...new Set([self, ...members].map(({ address }) => address))];
  return { kind: "meet", clusterId, addresses, refusal };
}

function listProblem(own: FoundingView, heard: readonly FoundingView[]): FoundingStep | null {
  for (const { self, expect } of heard) {
    if (self.id === own.self.id && self.diskId !== own.self.diskId) {
      return refuse(
        `Two coordinators call themselves "${self.id}": at ${own.self.address} and at ${self.address}`,
        "Give each its own id (coordinator: id: …)",
      );
    }
    if (expect !== own.expect) {
      return refuse(
        `Coordinator "${self.id}" at ${self.address} expects ${expect} founders, this one ${own.expect}`,
        "Bootstrap all of them with the same --expect, or with the same list in transports",
      );
    }
  }
  return null;
}

function unionOf(own: FoundingView, heard: readonly FoundingView[]): readonly Founder[] {
  return sorted(unique([own.self, ...own.known, ...heard.flatMap(({ self, known }) => [self, ...known])]));
}

/** The first of each disk. */
function unique(founders: readonly Founder[]): readonly Founder[] {
  const byDisk = new Map<string, Founder>();
  for (const founder of founders) if (!byDisk.has(founder.diskId)) byDisk.set(founder.diskId, founder);
  return [...byDisk.values()];
}

function sorted(founders: readonly Founder[]): readonly Founder[] {
  return [...founders].sort((left, right) => (left.id < right.id ? -1 : left.id > right.id ? 1 : 0));
}

function listText(founders: readonly Founder[]): string {
  return JSON.stringify(sorted(founders).map(({ id, address, diskId }) => [id, address, diskId]));
}

function names(founders: readonly Founder[]): string {
  return sorted(founders)
    .map(({ id, address }) => `${id} at ${address}`)
    .join(", ");
}

function refuse(problem: string, remedy: string): Extract<FoundingStep, { kind: "refuse" }> {
  return { kind: "refuse", problem, remedy };
}
