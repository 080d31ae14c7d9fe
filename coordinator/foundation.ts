import type { Clock } from "../common/clock.js";
import { openTlsSource } from "../common/tls/source.js";
import type { TlsSource } from "../common/tls/source.js";
import { VERSION } from "../common/version.js";
import type { Closers } from "./closers.js";
import { leaderClock } from "./leader-clock.js";
import type { ReplicatedLog } from "./log/replicated-log.js";
import type { CoordinatorOptions } from "./options.js";
import { openReplica } from "./replica-over-log.js";
import type { OpenReplica } from "./replica-over-log.js";
import { steadyClock } from "./steady-clock.js";
import { openLog } from "./tier/open-log.js";
import type { OpenedLog } from "./tier/open-log.js";
import { TierPassphrase } from "./tier/tier-passphrase.js";
import { TierWatch } from "./tier/tier-watch.js";

/** What a coordinator stands on: its secrets, its log, the state that the log has led to, and the time. */
export type Foundation = {
  readonly tls: TlsSource | null;
  readonly passphrase: TierPassphrase;
  readonly log: ReplicatedLog;
  /** Null: it stands alone. */
  readonly membership: OpenedLog["tier"];
  readonly replica: OpenReplica;
  readonly watch: TierWatch;
  /** Of decisions: its wall time fits the stamps in the log. */
  readonly clock: Clock;
};

/** @throws ClusterduckError as `openTlsSource`, `TierPassphrase.open`, `openLog` and `openReplica`. */
export async function openFoundation(options: CoordinatorOptions, closers: Closers): Promise<Foundation> {
  const { clock, random, logger, file } = options;
  const { coordinator: config } = file.config;
  const tls =
    config.tls === null
      ? null
      : await openTlsSource({
          config: config.tls,
          expected: { role: "member", name: config.id },
          clock,
          logger: logger.child("tls"),
        });
  if (tls !== null) closers.add(() => tls.close());
  const passphrase = await TierPassphrase.open({
    passphrase: config.raft.passphrase,
    tls,
    clock,
    logger: logger.child("tier"),
  });
  const { log, tier: membership } = await openLog({
    config,
    tls,
    passphrase,
    version: VERSION,
    clock,
    random,
    logger,
    signal: options.signal ?? new AbortController().signal,
    onWaiting: options.onWaiting ?? (() => undefined),
  });
  closers.add(() => log.close());
  const steady = steadyClock(clock);
  const replica = await openReplica({
    log,
    clock: steady,
    logger: logger.child("state"),
    snapshotEntries: config.snapshotEntries,
    onFailure: options.onFailure,
  });
  closers.add(() => replica.close());
  membership?.transport.shutOut((id) => (replica.state.members.get(id)?.removedAtMs ?? null) !== null);
  const watch = new TierWatch({ id: config.id, log, clock, logger: logger.child("tier") });
  closers.add(() => watch.close());
  const leaderTime = leaderClock(steady, () => replica.state.atMs);
  return { tls, passphrase, log, membership, replica, watch, clock: leaderTime };
}
