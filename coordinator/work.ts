import { join } from "node:path";

import { haproxyApplierFactory } from "../appliers/haproxy/applier.js";
import { createCheck } from "../checks/registry.js";
import { createSchedule } from "../checks/schedule/create.js";
import type { Schedule } from "../checks/schedule.js";
import { createFleet } from "./agents/create-fleet.js";
import type { FleetServer } from "./agents/create-fleet.js";

import type { Closers } from "./closers.js";
import { startDecisionLoop } from "./decision-loop.js";
import type { DecisionLoop } from "./decision-loop.js";
import { Declarations } from "./declarations.js";
import { startDelivery } from "./delivery/start.js";
import type { Delivery } from "./delivery/start.js";
import type { Foundation } from "./foundation.js";
import type { CoordinatorOptions } from "./options.js";
import { ownerOf } from "./tier/identity.js";
import { placeOfRun } from "./tier/run-owners.js";
import type { Tier } from "./tier/tier.js";
import { startTriggerRunner } from "./triggers/runner.js";
import type { TriggerRunner } from "./triggers/runner.js";
import type { Whereabouts } from "./whereabouts.js";

/** What a coordinator does: listens to agents, decides, delivers to proxies, runs triggers. */
export type Work = {
  readonly fleet: FleetServer;
  readonly schedule: Schedule;
  readonly decisions: DecisionLoop;
  readonly delivery: Delivery;
  readonly triggers: TriggerRunner;
  readonly declarations: Declarations;
};

export type WorkParts = {
  readonly options: CoordinatorOptions;
  readonly foundation: Foundation;
  readonly whereabouts: Whereabouts;
  /** The tier begins after this, and needs it; null until then, and where there is none. */
  readonly tier: () => Tier | null;
};

/** How long running triggers may go on when the coordinator stops, milliseconds. */
export const TRIGGER_GRACE_MS = 5_000;

export function startWork(parts: WorkParts, closers: Closers): Work {
  const { options, foundation, tier } = parts;
  const { random, logger, file } = options;
  const { coordinator: config, agent: agentConfig } = file.config;
  const { log, replica, clock } = foundation;
  const declarations = new Declarations({
    replica,
    log,
    clock: options.clock,
    logger: logger.child("agents"),
  });
  closers.add(() => declarations.close());
  const fleet = startFleet(parts, declarations);
  closers.add(() => fleet.close());

  let decisions: DecisionLoop | null = null;
  const schedule = createSchedule({
    clock: options.clock,
    random,
    createCheck,
    execChecks: agentConfig.execChecks,
    onReports: (reports) => decisions?.ownReports(reports),
  });
  closers.add(() => schedule.close());
  const loop = startDecisionLoop({
    coordinatorId: config.id,
    replica,
    fleet,
    schedule,
    log,
    clock,
    logger: logger.child("health"),
    onVoted: (nodes) => tier()?.voted(nodes),
  });
  decisions = loop;
  closers.add(() => loop.close());

  const delivery = startDelivery({
    replica,
    fleet,
    log,
    clock: options.clock,
    logger: logger.child("delivery"),
    createApplier: haproxyApplierFactory({ stateDir: config.dataDir, clock: options.clock }),
  });
  closers.add(() => delivery.close());
  const triggers = startTriggers(parts, closers);
  closers.add(
    log.onLeadership(() => {
      triggers.wake();
      declarations.review();
    }),
  );
  return { fleet, schedule, decisions: loop, delivery, triggers, declarations };
}

function startFleet(
  { options, foundation, whereabouts }: WorkParts,
  declarations: Declarations,
): FleetServer {
  const { replica } = foundation;
  const { id, version, networkIdentity } = whereabouts.self();
  return createFleet({
    coordinatorId: id,
    version,
    networkIdentity,
    replica,
    members: () => {
      const others = [...replica.state.members.values()].filter(
        (member) => member.id !== id && member.removedAtMs === null && member.agentAddress !== "",
      );
      return [{ id, agentAddress: whereabouts.agentAddress }, ...others];
    },
    onDeclared: (agentId, nodes) => declarations.declare(agentId, nodes),
    clock: options.clock,
    logger: options.logger.child("agents"),
  });
}

function startTriggers(
  { options, foundation, whereabouts, tier }: WorkParts,
  closers: Closers,
): TriggerRunner {
  const { log, membership, replica, watch, clock } = foundation;
  const { id, dataDir } = options.file.config.coordinator;
  const isLeader = (): boolean => log.leadership().isLeader;
  const triggers = startTriggerRunner({
    replica,
    isLeader,
    owner: ownerOf(whereabouts.self()),
    ...(membership === null
      ? {}
      : {
          placeOf: (run) => {
            const nowMs = clock.monotonicMs();
            const presenceOf = (other: string) => tier()?.presenceOf(other);
            const leadingMs = watch.leadershipMs();
            return placeOfRun(run, { ownId: id, isLeader: isLeader(), presenceOf, leadingMs, nowMs });
          },
        }),
    clock,
    logger: options.logger.child("triggers"),
    env: options.env,
    dir: join(dataDir, "runs"),
  });
  closers.add(() => triggers.stop(TRIGGER_GRACE_MS));
  return triggers;
}
