import type { Clock } from "../../common/clock.js";
import { ClusterduckError, messageOf } from "../../common/errors.js";
import type { ErrorCode } from "../../common/errors.js";
import type { Logger } from "../../common/logger.js";
import type { TlsSource } from "../../common/tls/source.js";
import type { Founder, FoundingView } from "./founding.js";
import { introduceTo } from "./introduction.js";
import { TierPeers } from "./peers.js";
import type { TierPassphrase } from "./tier-passphrase.js";

const ASK_TIMEOUT_MS = 2_000;
/** After a refusal, milliseconds: fewer wrong passphrases in a minute than make the other one deaf to all. */
const REFUSED_MS = 15_000;
/** What says that nobody is there, rather than that somebody refuses. */
const AWAY: ReadonlySet<ErrorCode> = new Set(["UNREACHABLE", "TIMED_OUT", "STOPPING"]);

export type FellowFoundersOptions = {
  /** The others, or some of them: each tells whom it knows. */
  readonly bootstrap: readonly string[];
  readonly tls: TlsSource | null;
  readonly passphrase: TierPassphrase;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

/**
 * What the other founders were last heard to say. Only who answers counts as there: whoever falls silent is
 * forgotten, and whoever refuses is told of, and not asked again at once.
 */
export class FellowFounders {
  readonly #options: FellowFoundersOptions;
  readonly #self: Founder;
  readonly #peers: TierPeers;
  /** Key: address. */
  readonly #heard = new Map<string, FoundingView>();
  /** Key: address. Who is there, and refuses this one or is refused by it. */
  readonly #refusals = new Map<string, { readonly words: string; readonly untilMs: number }>();

  constructor(options: FellowFoundersOptions, self: Founder) {
    this.#options = options;
    this.#self = self;
    this.#peers = new TierPeers(() => null, options.tls);
  }

  /** The newest view of each, but for this one's own, which may come back to it by another address. */
  get views(): readonly FoundingView[] {
    return [...this.#heard.values()].filter(({ self }) => self.diskId !== this.#self.diskId);
  }

  /** Undefined while it is silent. */
  viewAt(address: string): FoundingView | undefined {
    return this.#heard.get(address);
  }

  /** Those of the bootstrap list that neither answer nor refuse. */
  get silent(): readonly string[] {
    return this.#options.bootstrap.filter(
      (place) => place !== this.#self.address && !this.#heard.has(place) && !this.#refusals.has(place),
    );
  }

  /** By address: why, in words. */
  get refusals(): readonly (readonly [address: string, words: string])[] {
    return [...this.#refusals].map(([address, { words }]) => [address, words] as const);
  }

  hear(view: FoundingView): void {
    this.#heard.set(view.self.address, view);
  }

  /** Tells `own` to everybody it knows of, at the same time, and hears them. Never rejects. */
  async ask(own: FoundingView): Promise<void> {
    const { bootstrap, clock } = this.#options;
    const hearsay = [...this.#heard.values()].flatMap(({ self, known }) => [self, ...known]);
    const promised = own.promised ?? [];
    const places = new Set([...bootstrap, ...[...hearsay, ...promised].map(({ address }) => address)]);
    places.delete(this.#self.address);
    const nowMs = clock.monotonicMs();
    const isAskedNow = (place: string): boolean => (this.#refusals.get(place)?.untilMs ?? nowMs) <= nowMs;
    await Promise.all([...places].filter(isAskedNow).map((place) => this.#askAt(place, own)));
  }

  close(): void {
    this.#peers.close();
  }

  async #askAt(place: string, own: FoundingView): Promise<void> {
    const { version, passphrase, signal, logger } = this.#options;
    const call = { signal, timeoutMs: ASK_TIMEOUT_MS };
    try {
      const view = await introduceTo(this.#peers.at(place), place, own, { version, passphrase, call });
      if (view !== null) this.hear(view);
      this.#refusals.delete(place);
    } catch (thrown) {
      // What it said before no longer says that it is there.
      this.#heard.delete(place);
      this.#note(place, thrown);
      logger.debug("tier.founder_away", { address: place, message: messageOf(thrown) });
    }
  }

  /** Somebody may be there and will have nothing to do with this one. */
  #note(place: string, thrown: unknown): void {
    if (!(thrown instanceof ClusterduckError) || AWAY.has(thrown.code)) {
      this.#refusals.delete(place);
      return;
    }
    const untilMs = this.#options.clock.monotonicMs() + REFUSED_MS;
    this.#refusals.set(place, { words: `${thrown.message}. ${thrown.hint ?? ""}`.trim(), untilMs });
  }
}
