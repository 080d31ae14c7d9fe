/** What one coordinator believes of one check of one node: the rules of the decision model, in order. */
import type { CheckConfig } from "../../common/config/model.js";
import { isAnswering, isCounted } from "./evidence.js";
import type { Evidence } from "./evidence.js";

/** `hold`: seen, but mixed or too little to say. `silent`: nobody's word counts. `mute`: nobody can judge it. */
export type CheckState = "healthy" | "degraded" | "down" | "hold" | "silent" | "mute";

export type CheckVerdict = {
  readonly check: string;
  readonly state: CheckState;
  /** The rule in words. */
  readonly rule: string;
  /** What the first accuser saw, for people; empty where nobody accuses. */
  readonly cause: string;
  /** Another look, by the coordinator's own probe, would help. */
  readonly isProbeWanted: boolean;
};

export type CheckSurroundings = {
  /** The agent beside the node is connected, does not abstain, and can be expected to speak. */
  readonly isLocalExpected: boolean;
  /** Configured coordinators: one alone needs a second observer where there can be one. */
  readonly memberCount: number;
  /** This coordinator's own probe can reach the node. */
  readonly mayProbe: boolean;
};

/** Two hosts' observations are ordered only if they are this far apart. Milliseconds. */
const ORDER_SLACK_MS = 20;

/** Peers that must accuse together when the coordinator cannot probe. */
const PEERS_WITHOUT_OWN = 2;

export function judgeCheck(
  check: CheckConfig,
  evidence: readonly Evidence[],
  around: CheckSurroundings,
): CheckVerdict {
  const scene = sceneOf(check, evidence, around);
  const { local, own, peers } = scene;
  if (local === null && own === null && peers.length === 0) return withoutWord(scene);
  // An overdue word of the local agent keeps things as they are, but no longer speaks against a probe.
  if (local === null || (local.isOverdue && own !== null)) return judgeFromAfar(scene);
  if (local.isOverdue) return hold(scene, `the last word of agent ${local.observer} is overdue`, true);
  if (local.standing === "failing") return judgeAccused(scene, local);
  if (local.standing === "faltering") return hold(scene, `agent ${local.observer}: ${progress(local)}`, true);
  return judgeAnswering(scene, local);
}

type Scene = {
  readonly check: CheckConfig;
  readonly evidence: readonly Evidence[];
  readonly local: Evidence | null;
  readonly own: Evidence | null;
  readonly peers: readonly Evidence[];
  readonly isOwnPossible: boolean;
  readonly around: CheckSurroundings;
};

function sceneOf(check: CheckConfig, evidence: readonly Evidence[], around: CheckSurroundings): Scene {
  const counted = evidence.filter(isCounted);
  const ownWord = evidence.find((each) => each.role === "own");
  return {
    check,
    evidence,
    local: counted.find((each) => each.role === "local") ?? null,
    own: counted.find((each) => each.role === "own") ?? null,
    peers: counted.filter((each) => each.role === "peer"),
    isOwnPossible: around.mayProbe && ownWord?.standing !== "inconclusive",
    around,
  };
}

/** Nobody's word counts. A check that every observer present finds impossible is left out of the verdict. */
function withoutWord(scene: Scene): CheckVerdict {
  const inconclusive = scene.evidence.filter((each) => each.standing === "inconclusive");
  const isLocalMute = inconclusive.some((each) => each.role === "local") || !scene.around.isLocalExpected;
  if (inconclusive.length > 0 && isLocalMute && !scene.isOwnPossible) {
    return verdict(scene, "mute", "no observer can judge it", inconclusive[0] ?? null, false);
  }
  return verdict(scene, "silent", "no observer has looked yet, or lately", inconclusive[0] ?? null, true);
}

/** The local agent says the check fails. */
function judgeAccused(scene: Scene, local: Evidence): CheckVerdict {
  const { own, peers, check } = scene;
  const accuser = `agent ${local.observer}: ${progress(local)}`;
  const accusing = peers.filter((each) => each.standing === "failing");
  const wait = (seen: number): CheckVerdict =>
    hold(
      scene,
      `${accuser}; waiting for the coordinator's own probe (${seen} of ${check.fall})`,
      true,
      local,
    );
  if (own === null || isBefore(own, local)) {
    if (accusing.length >= PEERS_WITHOUT_OWN && accusing.length * 2 > peers.length) {
      return down(scene, `${accuser}, and ${accusing.length} of ${peers.length} peers fail too`, local);
    }
    if (!scene.isOwnPossible) return down(scene, `${accuser}; nobody else can run this check`, local);
    return wait(0);
  }
  switch (own.standing) {
    case "failing":
      if (accusing.length * 2 < peers.length) {
        return hold(scene, `${accuser}, but most peers do not agree`, true, local);
      }
      return down(scene, `${accuser}, and the coordinator's own probe: ${progress(own)}`, local);
    case "faltering":
      return wait(own.memory.report.consecutive);
    case "settling":
      return hold(scene, `${accuser}; the coordinator's own probe: ${progress(own)}`, true, local);
    default: {
      const rule = `${accuser}, but the coordinator's own probe passes`;
      if (isBefore(local, own)) return hold(scene, `${rule}; waiting for the agent's next word`, true, local);
      return verdict(scene, "degraded", rule, local, true);
    }
  }
}

/** The local agent says the check passes. */
function judgeAnswering(scene: Scene, local: Evidence): CheckVerdict {
  const { own, peers } = scene;
  const word = `agent ${local.observer}: ${progress(local)}`;
  if (own?.standing === "failing") {
    if (isBefore(own, local)) {
      return hold(
        scene,
        `${word}; the coordinator's own probe failed before that and looks again`,
        true,
        own,
      );
    }
    const rule = `${word}, but the coordinator's own probe: ${progress(own)}`;
    if (isBefore(local, own)) return hold(scene, `${rule}; waiting for the agent's next word`, true, own);
    const isBacked = peers.filter((each) => each.standing === "failing").length * 2 >= peers.length;
    if (isBacked) return verdict(scene, "degraded", `unreachable: ${rule}`, own, true);
  }
  if (own?.standing === "faltering" && !isBefore(own, local)) {
    return hold(scene, `${word}; the coordinator's own probe: ${progress(own)}`, true, own);
  }
  if (local.standing === "settling") return hold(scene, word, false);
  return verdict(
    scene,
    local.standing === "degraded" ? "degraded" : "healthy",
    word,
    complaint(local),
    false,
  );
}

/** Nobody stands beside the node, or the one who does says nothing: that says nothing about the service. */
function judgeFromAfar(scene: Scene): CheckVerdict {
  const { own, peers, around } = scene;
  const accusing = peers.filter((each) => each.standing === "failing");
  if (own === null) {
    if (accusing.length >= PEERS_WITHOUT_OWN && accusing.length * 2 > peers.length) {
      return down(scene, `${accusing.length} of ${peers.length} peers fail`, accusing[0] ?? null);
    }
    return hold(scene, "only peers have looked, and too few to say", true, accusing[0] ?? null);
  }
  const word = `the coordinator's own probe: ${progress(own)}`;
  switch (own.standing) {
    case "failing": {
      if (accusing.length * 2 < peers.length)
        return hold(scene, `${word}, but most peers do not agree`, true, own);
      const isAlone = around.memberCount === 1 && accusing.length === 0 && around.isLocalExpected;
      if (isAlone) return hold(scene, `${word}; waiting for the agent beside the node`, true, own);
      return down(scene, word, own);
    }
    case "faltering":
      return hold(scene, word, true, own);
    case "settling":
      return hold(scene, word, false);
    default:
      return verdict(
        scene,
        own.standing === "degraded" ? "degraded" : "healthy",
        word,
        complaint(own),
        false,
      );
  }
}

/** One observer's last word is older than the other's present row: true when it was said, it contradicts nobody. */
function isBefore(word: Evidence, row: Evidence): boolean {
  return word.memory.report.takenAtMs < row.memory.sinceMs + ORDER_SLACK_MS;
}

function complaint(evidence: Evidence): Evidence | null {
  return evidence.standing === "degraded" ? evidence : null;
}

/** "failed 3 of 3", "passed 1 of 2". */
export function progress(evidence: Evidence): string {
  const { outcome } = evidence.memory.report.observation;
  const needed = outcome === "passed" ? evidence.check.rise : evidence.check.fall;
  const row = outcome === "failed" ? evidence.memory.report.consecutive : evidence.memory.sameOutcome;
  const isEnough = row >= needed;
  return isEnough ? `${outcome} ${row} times in a row` : `${outcome} ${row} of ${needed}`;
}

/** What an observer complains of: "basic: refused (connect ECONNREFUSED)". */
export function complaintText(evidence: Evidence): string {
  const { observation } = evidence.memory.report;
  if (observation.outcome === "passed") return "";
  return `${evidence.check.id}: ${observation.reason}${observation.detail === "" ? "" : ` (${observation.detail})`}`;
}

function down(scene: Scene, rule: string, accuser: Evidence | null): CheckVerdict {
  return verdict(scene, "down", rule, accuser, true);
}

function hold(
  scene: Scene,
  rule: string,
  isProbeWanted: boolean,
  accuser: Evidence | null = null,
): CheckVerdict {
  return verdict(scene, "hold", rule, accuser, isProbeWanted);
}

function verdict(
  scene: Scene,
  state: CheckState,
  rule: string,
  accuser: Evidence | null,
  isProbeWanted: boolean,
): CheckVerdict {
  const isAnswerable = isProbeWanted && scene.isOwnPossible;
  const cause =
    accuser === null || (isAnswering(accuser) && accuser.standing !== "degraded")
      ? ""
      : complaintText(accuser);
  return { check: scene.check.id, state, rule, cause, isProbeWanted: isAnswerable };
}
