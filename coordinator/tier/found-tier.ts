import type { ListenConfig } from "../../common/config/model.js";
import { ClusterduckError } from "../../common/errors.js";
import { createGrpcServer } from "../../common/grpc/server.js";
import type { BoundService } from "../../common/grpc/service.js";
import { FellowFounders } from "./fellow-founders.js";
import type { FellowFoundersOptions } from "./fellow-founders.js";
import { nextStep } from "./founding.js";
import type { Founder, FoundingStep, FoundingView } from "./founding.js";
import { introductions } from "./introduction.js";
import { writeTierFile } from "./tier-file.js";
import type { TierFile } from "./tier-file.js";
import { tierlessService } from "./tierless-service.js";

export type FoundTierOptions = FellowFoundersOptions & {
  readonly directory: string;
  readonly file: TierFile;
  /** Where the others reach this coordinator. */
  readonly address: string;
  readonly listen: ListenConfig;
  readonly expect: number;
  /** Joins the tier that is there already, at one of these addresses; null: that is refused. */
  readonly join: ((addresses: readonly string[]) => Promise<TierFile>) | null;
  /** Stay until all founders know; not needed where this process goes on as a member. */
  readonly isStaying: boolean;
  /** Who is waited for, when that changes. */
  readonly onProgress: (words: string) => void;
};

const ASK_EVERY_MS = 300;
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

class Founding {
  readonly service: BoundService;
  readonly #options: FoundTierOptions;
  readonly #self: Founder;
  readonly #others: FellowFounders;
  #file: TierFile;
  #progress = "";

  constructor(options: FoundTierOptions) {
    const { address, file, passphrase, version } = options;
    const { coordinatorId: id, diskId } = file;
    this.#options = options;
    this.#file = file;
    this.#self = { id, address, diskId };
    this.#others = new FellowFounders(options, this.#self);
    this.service = tierlessService(id, {
      introduce: introductions({
        view: () => this.#view(),
        onView: (view) => this.#others.hear(view),
        version,
        passphrase,
      }),
      challenge: async () => passphrase.challenge(),
    });
  }

  async run(): Promise<TierFile> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      await this.#others.ask(this.#view());
      const step = nextStep(this.#view(), this.#others.views);
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
    this.#others.close();
  }

  #view(): FoundingView {
    const { promised, clusterId, founders } = this.#file;
    const known = this.#others.views.map(({ self }) => self);
    return { self: this.#self, expect: this.#options.expect, known, promised, clusterId, members: founders };
  }

  async #save(file: TierFile): Promise<void> {
    await writeTierFile(this.#options.directory, file);
    this.#file = file;
  }

  #tell(missing: number): void {
    const words =
      missing === 0
        ? "all founders are here; waiting until each has promised"
        : `waiting for ${missing} more of ${this.#options.expect} coordinators; ${this.#whoIsHere()}`;
    if (words === this.#progress) return;
    this.#progress = words;
    this.#options.onProgress(words);
  }

  #whoIsHere(): string {
    const { views, silent, refusals } = this.#others;
    const here = [this.#self, ...views.map(({ self }) => self)].map(({ id }) => id).sort();
    return [
      `here: ${here.join(", ")}`,
      ...(silent.length === 0 ? [] : [`no answer from ${silent.join(", ")}`]),
      ...refusals.map(([address, why]) => `${address}: ${why}`),
    ].join("; ");
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
      const view = this.#others.viewAt(address);
      const silence = view === undefined ? (silences.get(id) ?? 0) + 1 : 0;
      silences.set(id, silence);
      return silence >= SILENCES_MAX || (view !== undefined && view.clusterId !== "");
    };
    const done = new Set<string>();
    while (!signal.aborted && clock.monotonicMs() < untilMs && done.size < others.length) {
      await this.#others.ask(this.#view());
      for (const other of others) if (isDone(other)) done.add(other.id);
      if (done.size < others.length) await clock.sleep(ASK_EVERY_MS, signal);
    }
  }
}

function refusalOf({ problem, remedy }: Extract<FoundingStep, { kind: "refuse" }>): ClusterduckError {
  return new ClusterduckError("CONFLICT", problem, { hint: remedy });
}
