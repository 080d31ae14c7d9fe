import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../../common/clock.js";
import type { ListenConfig } from "../../common/config/model.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { ErrorCode } from "../../common/errors.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { bindService } from "../../common/grpc/service.js";
import type { BoundService, CallContext } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
import { canonicalAddress } from "../../common/model/address.js";
import type { TlsSource } from "../../common/tls/source.js";
import { fromName, invalid } from "../../common/wire/values.js";
import { TierService } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type {
  Founder as WireFounder,
  FoundingView as WireView,
  FoundingViewSchema,
  IntroduceRequest,
  IntroduceResponseSchema,
} from "../../proto/gen/clusterduck/v1/tier_pb.js";
import { nextStep } from "./founding.js";
import type { Founder, FoundingStep, FoundingView } from "./founding.js";
import { TierPeers } from "./peers.js";
import { assertSpeaksForItself } from "./peer-name.js";
import { writeTierFile } from "./tier-file.js";
import type { TierPassphrase } from "./tier-passphrase.js";
import type { TierFile } from "./tier-file.js";

export type FoundTierOptions = {
  readonly directory: string;
  readonly file: TierFile;
  /** Where the others reach this coordinator. */
  readonly address: string;
  readonly listen: ListenConfig;
  /** The others, or some of them: each tells whom it knows. */
  readonly bootstrap: readonly string[];
  readonly expect: number;
  /** Joins the tier that is there already, at one of these addresses; null: that is refused. */
  readonly join: ((addresses: readonly string[]) => Promise<TierFile>) | null;
  /** Stay until all founders know; not needed where this process goes on as a member. */
  readonly isStaying: boolean;
  readonly tls: TlsSource | null;
  readonly passphrase: TierPassphrase;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Who is waited for, when that changes. */
  readonly onProgress: (words: string) => void;
};

const ASK_EVERY_MS = 300;
const ASK_TIMEOUT_MS = 2_000;
/** After a refusal, milliseconds: fewer wrong passphrases in a minute than make the other one deaf to all. */
const REFUSED_MS = 15_000;
/** What says that nobody is there, rather than that somebody refuses. */
const AWAY: ReadonlySet<ErrorCode> = new Set(["UNREACHABLE", "TIMED_OUT", "STOPPING"]);
/** How long a founder stays for the others to learn that it has promised, milliseconds. */
const STAY_MAX_MS = 60_000;
/** Questions in a row without an answer after which a founder counts as gone. */
const SILENCES_MAX = 10;

/**
 * Finds the other founders, agrees with them, and makes this directory a member of the tier.
 * @throws ClusterduckError CONFLICT with the remedy when that cannot be; STOPPING; LISTEN_FAILED; DISK_FAILED.
 */
export async function foundTier(options: FoundTierOptions): Promise<TierFile> {
  const founding = new Founding(options);
  const server = await createGrpcServer({
    listen: options.listen,
    logger: options.logger,
    services: [founding.service],
    tls: options.tls,
  });
  try {
    return await founding.run();
  } finally {
    founding.close();
    await server.close(0);
  }
}

/** The service of a coordinator that has not joined or founded anything yet, or that has. */
export function introductions(options: {
  readonly view: () => FoundingView;
  readonly onView: (view: FoundingView) => void;
  readonly version: string;
  readonly passphrase: TierPassphrase;
}): (
  request: IntroduceRequest,
  context: CallContext,
) => Promise<MessageInitShape<typeof IntroduceResponseSchema>> {
  const { view, onView, version, passphrase } = options;
  return async (request, context) => {
    if (request.view === undefined) throw invalid("a coordinator does not say who it is");
    const told = decodeView(request.view);
    assertSpeaksForItself(told.self.id, context.identity);
    const caller = { id: told.self.id, subject: introduction(told) };
    const confirmation = passphrase.admit(request.proof, caller, context);
    onView(told);
    return {
      view: encodeView(view(), version),
      ...(confirmation === undefined ? {} : { confirmation }),
    };
  };
}

/** What a proof of the passphrase covers of an introduction. */
function introduction({ self, expect, promised, clusterId }: FoundingView): string {
  const list = [self, ...(promised ?? [])].map(({ id, address, diskId }) => [id, address, diskId]);
  return JSON.stringify(["introduce", expect, clusterId, ...list]);
}

class Founding {
  readonly service: BoundService;
  readonly #options: FoundTierOptions;
  readonly #peers: TierPeers;
  #file: TierFile;
  /** Key: address. */
  readonly #heard = new Map<string, FoundingView>();
  /** Key: address. Who is there, and refuses this one or is refused by it. */
  readonly #refusals = new Map<string, { readonly words: string; readonly untilMs: number }>();
  #progress = "";

  constructor(options: FoundTierOptions) {
    this.#options = options;
    this.#file = options.file;
    this.#peers = new TierPeers(() => null, options.tls);
    const { id } = this.#self;
    const notYet = async (): Promise<never> => {
      throw new ClusterduckError("UNREACHABLE", `Coordinator "${id}" belongs to no tier yet`);
    };
    this.service = bindService(
      TierService,
      {
        introduce: introductions({
          ...options,
          view: () => this.#view(),
          onView: (view) => this.#hear(view),
        }),
        challenge: async () => options.passphrase.challenge(),
        forwardCall: notYet,
        join: notYet,

        report: async function* () {
          await notYet();
        },
      },
      ["member"],
    );
  }

  async run(): Promise<TierFile> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      await this.#ask();
      const step = nextStep(this.#view(), this.#others());
      switch (step.kind) {
        case "wait":
          this.#tell(step.missing);
          await clock.sleep(ASK_EVERY_MS, signal);
          break;
        case "promise":
          await this.#save({ ...this.#file, promised: step.founders });
          break;
        case "found": {
          const { clusterId, founders } = step;
          await this.#save({ ...this.#file, clusterId, founders });
          await this.#stay();
          return this.#file;
        }
        case "meet": {
          const { join } = this.#options;
          if (join === null) throw refusalOf(step.refusal);
          return join(step.addresses);
        }
        case "refuse":
          throw refusalOf(step);
      }
    }
    throw new ClusterduckError("STOPPING", "Stopped before a tier was founded");
  }

  close(): void {
    this.#peers.close();
  }

  get #self(): Founder {
    const { address, file } = this.#options;
    return { id: file.coordinatorId, address, diskId: file.diskId };
  }

  #view(): FoundingView {
    const { promised, clusterId, founders } = this.#file;
    const known = this.#others().map(({ self }) => self);
    return { self: this.#self, expect: this.#options.expect, known, promised, clusterId, members: founders };
  }

  #others(): readonly FoundingView[] {
    const { diskId } = this.#self;
    return [...this.#heard.values()].filter(({ self }) => self.diskId !== diskId);
  }

  #hear(view: FoundingView): void {
    this.#heard.set(view.self.address, view);
  }

  /** Asks everybody it knows of, at the same time. Never rejects. */
  async #ask(): Promise<void> {
    const { bootstrap, address, logger, clock } = this.#options;
    const hearsay = [...this.#heard.values()].flatMap(({ self, known }) => [self, ...known]);
    const promised = this.#file.promised ?? [];
    const places = new Set([...bootstrap, ...[...hearsay, ...promised].map((each) => each.address)]);
    places.delete(address);
    const nowMs = clock.monotonicMs();
    const isAskedNow = (place: string): boolean => (this.#refusals.get(place)?.untilMs ?? nowMs) <= nowMs;
    await Promise.all(
      [...places].filter(isAskedNow).map(async (place) => {
        try {
          await this.#introduce(place);
          this.#refusals.delete(place);
        } catch (thrown) {
          // What it said before no longer says that it is there.
          this.#heard.delete(place);
          this.#note(place, thrown);
          logger.debug("tier.founder_away", { address: place, message: messageOf(thrown) });
        }
      }),
    );
  }

  /** @throws ClusterduckError */
  async #introduce(place: string): Promise<void> {
    const { version, signal, passphrase } = this.#options;
    const call = { signal, timeoutMs: ASK_TIMEOUT_MS };
    const own = this.#view();
    const calls = this.#peers.at(place);
    const caller = { id: own.self.id, subject: introduction(own) };
    const { proof, assertConfirmed } = await passphrase.prove(calls, place, caller, call);
    const request = { view: encodeView(own, version), ...(proof === undefined ? {} : { proof }) };
    const { view, confirmation } = await calls.introduce(request, call);
    assertConfirmed(confirmation);
    if (view !== undefined) this.#hear(decodeView(view));
  }

  /** Somebody is there and will have nothing to do with this one: told, and not asked again at once. */
  #note(place: string, thrown: unknown): void {
    const isAway = !(thrown instanceof ClusterduckError) || AWAY.has(thrown.code);
    if (isAway) this.#refusals.delete(place);
    else {
      const untilMs = this.#options.clock.monotonicMs() + REFUSED_MS;
      this.#refusals.set(place, { words: `${thrown.message}. ${thrown.hint ?? ""}`.trim(), untilMs });
    }
  }

  async #save(file: TierFile): Promise<void> {
    await writeTierFile(this.#options.directory, file);
    this.#file = file;
  }

  #tell(missing: number): void {
    const { expect, bootstrap, onProgress, address } = this.#options;
    const here = this.#others().map(({ self }) => self.id);
    const silent = bootstrap.filter(
      (place) => place !== address && !this.#heard.has(place) && !this.#refusals.has(place),
    );
    const refusals = [...this.#refusals].map(([place, { words: why }]) => `; ${place}: ${why}`).join("");
    const words =
      missing === 0
        ? "all founders are here; waiting until each has promised"
        : `waiting for ${missing} more of ${expect} coordinators; here: ${[this.#self.id, ...here].sort().join(", ")}${silent.length === 0 ? "" : `; no answer from ${silent.join(", ")}`}${refusals}`;
    if (words === this.#progress) return;
    this.#progress = words;
    onProgress(words);
  }

  /**
   * The others found the tier only once they have heard this one's promise. Who does not answer any more has
   * either founded it too and gone, or finds it later, from a member that runs.
   */
  async #stay(): Promise<void> {
    const { isStaying, clock, signal } = this.#options;
    if (!isStaying) return;
    const untilMs = clock.monotonicMs() + STAY_MAX_MS;
    const others = this.#file.founders.filter(({ id }) => id !== this.#self.id);
    const silences = new Map<string, number>();
    const isDone = ({ id, address }: Founder): boolean => {
      const view = this.#heard.get(address);
      const silence = view === undefined ? (silences.get(id) ?? 0) + 1 : 0;
      silences.set(id, silence);
      return silence >= SILENCES_MAX || (view !== undefined && view.clusterId !== "");
    };
    const done = new Set<string>();
    while (!signal.aborted && clock.monotonicMs() < untilMs && done.size < others.length) {
      await this.#ask();
      for (const other of others) if (isDone(other)) done.add(other.id);
      if (done.size < others.length) await clock.sleep(ASK_EVERY_MS, signal);
    }
  }
}

function refusalOf({ problem, remedy }: Extract<FoundingStep, { kind: "refuse" }>): ClusterduckError {
  return new ClusterduckError("CONFLICT", problem, { hint: remedy });
}

export function encodeView(view: FoundingView, version: string): MessageInitShape<typeof FoundingViewSchema> {
  const { self, expect, known, promised, clusterId, members } = view;
  return {
    self: { ...self },
    expect,
    known: known.map((each) => ({ ...each })),
    promised: (promised ?? []).map((each) => ({ ...each })),
    clusterId,
    members: members.map((each) => ({ ...each })),
    version,
  };
}

/** @throws ClusterduckError INVALID_ARGUMENT */
export function decodeView(wire: WireView): FoundingView {
  if (wire.self === undefined) throw invalid("a coordinator does not say who it is");
  return {
    self: decodeFounder(wire.self),
    expect: wire.expect,
    known: wire.known.map(decodeFounder),
    promised: wire.promised.length === 0 ? null : wire.promised.map(decodeFounder),
    clusterId: wire.clusterId,
    members: wire.members.map(decodeFounder),
  };
}

/** @throws ClusterduckError INVALID_ARGUMENT */
export function decodeFounder({ id, address, diskId }: WireFounder): Founder {
  return {
    id: fromName(id, "a coordinator's id"),
    // One spelling, as what was heard is kept by address, and an address that is none must get into no log.
    address: canonicalAddress(fromName(address, "a coordinator's address")),
    diskId: fromName(diskId, "a coordinator's disk id"),
  };
}
