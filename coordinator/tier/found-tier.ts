import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../../common/clock.js";
import type { ListenConfig } from "../../common/config/model.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import { bindService } from "../../common/grpc/service.js";
import type { BoundService } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
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
import type { Founder, FoundingView } from "./founding.js";
import { TierPeers } from "./peers.js";
import { writeTierFile } from "./tier-file.js";
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
  /** Stay until all founders know; not needed where this process goes on as a member. */
  readonly isStaying: boolean;
  readonly tls: TlsSource | null;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Who is waited for, when that changes. */
  readonly onProgress: (words: string) => void;
};

const ASK_EVERY_MS = 300;
const ASK_TIMEOUT_MS = 2_000;
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
export function introductions(
  view: () => FoundingView,
  onView: (view: FoundingView) => void,
  version: string,
): (request: IntroduceRequest) => Promise<MessageInitShape<typeof IntroduceResponseSchema>> {
  return async (request) => {
    if (request.view !== undefined) onView(decodeView(request.view));
    return { view: encodeView(view(), version) };
  };
}

class Founding {
  readonly service: BoundService;
  readonly #options: FoundTierOptions;
  readonly #peers: TierPeers;
  #file: TierFile;
  /** Key: address. */
  readonly #heard = new Map<string, FoundingView>();
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
        introduce: introductions(
          () => this.#view(),
          (view) => this.#hear(view),
          options.version,
        ),
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
        case "refuse":
          throw new ClusterduckError("CONFLICT", step.problem, { hint: step.remedy });
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
    const { bootstrap, address, logger, version, signal } = this.#options;
    const hearsay = [...this.#heard.values()].flatMap(({ self, known }) => [self, ...known]);
    const promised = this.#file.promised ?? [];
    const places = new Set([...bootstrap, ...[...hearsay, ...promised].map((each) => each.address)]);
    places.delete(address);
    await Promise.all(
      [...places].map(async (place) => {
        try {
          const call = { signal, timeoutMs: ASK_TIMEOUT_MS };
          const { view } = await this.#peers
            .at(place)
            .introduce({ view: encodeView(this.#view(), version) }, call);
          if (view !== undefined) this.#hear(decodeView(view));
        } catch (thrown) {
          // What it said before no longer says that it is there.
          this.#heard.delete(place);
          logger.debug("tier.founder_away", { address: place, message: messageOf(thrown) });
        }
      }),
    );
  }

  async #save(file: TierFile): Promise<void> {
    await writeTierFile(this.#options.directory, file);
    this.#file = file;
  }

  #tell(missing: number): void {
    const { expect, bootstrap, onProgress, address } = this.#options;
    const here = this.#others().map(({ self }) => self.id);
    const silent = bootstrap.filter((place) => place !== address && !this.#heard.has(place));
    const words =
      missing === 0
        ? "all founders are here; waiting until each has promised"
        : `waiting for ${missing} more of ${expect} coordinators; here: ${[this.#self.id, ...here].sort().join(", ")}${silent.length === 0 ? "" : `; no answer from ${silent.join(", ")}`}`;
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

export function decodeFounder({ id, address, diskId }: WireFounder): Founder {
  return {
    id: fromName(id, "a coordinator's id"),
    address: fromName(address, "a coordinator's address"),
    diskId: fromName(diskId, "a coordinator's disk id"),
  };
}
