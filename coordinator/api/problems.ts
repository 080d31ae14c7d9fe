import type { MessageInitShape } from "@bufbuild/protobuf";

import { majorityOf } from "../../common/majority.js";
import { ABSTAIN_LEVEL } from "../../common/model/assignment.js";
import { describeCertificate } from "../../common/tls/certificate.js";
import { isDue } from "../../common/tls/due.js";
import { RENEW, complaintOfTime, remaining } from "../../common/tls/words.js";
import type { ProblemSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import { quorumOf } from "../tier/tier-health.js";
import type { BalancerStatus, ControlContext } from "./context.js";

type Problem = MessageInitShape<typeof ProblemSchema> & { severity: "error" | "warning" };

/** Whatever needs a person, worst first, each with a command that helps. */
export function problemsOf(context: ControlContext): Problem[] {
  const found = [
    ...leadershipProblems(context),
    ...memberProblems(context),
    ...panicProblems(context),
    ...placeProblems(context),
    ...nodeProblems(context),
    ...context.balancers.balancers().flatMap(balancerProblems),
    ...agentProblems(context),
    ...runProblems(context),
    ...doubtProblems(context),
    ...certificateProblems(context),
  ];
  return found.sort(
    (left, right) => Number(left.severity === "warning") - Number(right.severity === "warning"),
  );
}

function certificateProblems({ tls, coordinatorId }: ControlContext): Problem[] {
  if (tls === null || tls === undefined) return [];
  const { own, authorities } = tls.material;
  const wallMs = tls.wallMs();
  return [own, ...authorities].flatMap((certificate): Problem[] => {
    const subject = `coordinator ${coordinatorId}`;
    const hint = certificate.isAuthority ? `${RENEW} --authority` : RENEW;
    const complaint = complaintOfTime(certificate, wallMs);
    if (complaint !== null) {
      const message = `Nobody can trust it: ${complaint.message}`;
      return [{ severity: "error", subject, message, hint }];
    }
    if (!isDue(certificate, wallMs)) return [];
    const message = `The certificate of ${describeCertificate(certificate)} ends in ${remaining(certificate, wallMs)}`;
    return [{ severity: "warning", subject, message, hint }];
  });
}

function leadershipProblems({ log, tier }: ControlContext): Problem[] {
  const subject = "coordinators";
  if (log.leadership().leaderId === null) {
    const { message, hint } = tier.noLeaderWords();
    const consequence = "Nothing is decided and no change is taken until then; proxies stay as they are";
    return [{ severity: "error", subject, message: `${message}. ${consequence}`, hint }];
  }
  const members = tier.members();
  const missing = tier.missingWords();
  const voters = members.filter(({ role }) => role === "voter");
  const spare = voters.length - majorityOf(voters.length);
  const lost = voters.filter(({ state }) => state === "missing").length;
  const hint = "duckctl coordinators list";
  const found: Problem[] = [];
  if (missing !== "") {
    const left = spare - lost;
    const word = left <= 0 ? "one more loss stops the tier" : `the tier bears the loss of ${left} more`;
    found.push({ severity: "warning", subject, message: `${missing}; ${word}`, hint });
  }
  if (voters.length > 0 && voters.length % 2 === 0) {
    const message = `${voters.length} coordinators vote: they bear no more losses than ${voters.length - 1} would`;
    found.push({ severity: "warning", subject, message, hint: "Add one more, or remove one" });
  }
  return found;
}

/** What is wrong with single coordinators. Two tiers under one name are an error: both would steer the proxies. */
function memberProblems({ log, tier }: ControlContext): Problem[] {
  const strangers = (log.status().strangers ?? []).map(({ id, problem }): Problem => ({
    severity: "error",
    subject: `coordinator ${id}`,
    ...problem,
  }));
  const all = tier.members();
  const { isLeader, leaderId } = log.leadership();
  const { answering, needed } = quorumOf(all);
  // Others do not hear from all.
  const isStopped = isLeader && answering < needed;
  const members = all.flatMap(({ id, isSelf, problem, trouble }): Problem[] => {
    const subject = `coordinator ${id}`;
    const told: Problem[] = problem === undefined ? [] : [{ severity: "warning", subject, ...problem }];
    // Without a leader, why there is none says it already.
    if (trouble === undefined || (isSelf && leaderId === null)) return told;
    const { message, hint } = trouble;
    return [{ severity: isStopped ? "error" : "warning", subject, message, hint }, ...told];
  });
  return [...strangers, ...members];
}

/** A loopback address in the configuration means each coordinator's own host: with several, nobody's. */
function placeProblems({ replica, fleet }: ControlContext): Problem[] {
  return [...replica.state.nodes.values()]
    .filter((node) => fleet.agentBeside(node) === null && !fleet.canReach(node))
    .map((node) => ({
      severity: "error",
      subject: `node ${node.cluster}/${node.addr}`,
      message: "Nobody can check it: its address means another place on each coordinator's host",
      hint: "Let the agent on its host declare it (agent: nodes: …), or give an address that all hosts reach",
    }));
}

function panicProblems({ replica }: ControlContext): Problem[] {
  return [...replica.state.panics.keys()].map((cluster) => ({
    severity: "error",
    subject: `cluster ${cluster}`,
    message: "In panic: too many nodes are bad, so every node that is not certainly dead is kept in rotation",
    hint: `duckctl nodes list ${cluster}`,
  }));
}

function nodeProblems({ replica, knowledge }: ControlContext): Problem[] {
  return [...replica.state.nodes.values()].flatMap((node): Problem[] => {
    const name = `node ${node.cluster}/${node.addr}`;
    const hint = `duckctl explain ${node.cluster} ${node.addr}`;
    const warnings = knowledge
      .warningsOf(node)
      .map((message): Problem => ({ severity: "warning", subject: name, message, hint }));
    if (node.overlay !== null || node.state === "healthy") return warnings;
    const severity = node.state === "down" ? "error" : "warning";
    return [{ severity, subject: name, message: `${node.state}: ${node.cause}`, hint }, ...warnings];
  });
}

function balancerProblems(balancer: BalancerStatus): Problem[] {
  const hint = `duckctl balancers list ${balancer.name}`;
  return balancer.proxies
    .filter((proxy) => proxy.state === "failed" || proxy.state === "drifted" || proxy.state === "unreachable")
    .map((proxy) => ({
      severity: "error",
      subject: `balancer ${balancer.name} at ${proxy.target}`,
      message: proxy.error === "" ? proxy.state : `${proxy.state}: ${proxy.error}`,
      hint,
    }));
}

function agentProblems({ replica }: ControlContext): Problem[] {
  return [...replica.state.agents.values()]
    .filter((agent) => agent.state === "lost")
    .map((agent) => ({
      severity: "warning",
      subject: `agent ${agent.id}`,
      message: `Lost: nothing is heard from host ${agent.host}; its nodes keep their state unless probes say otherwise`,
      hint: "duckctl agents list",
    }));
}

/** Only the newest run of a trigger counts: a later success mends an earlier failure. */
function runProblems({ replica }: ControlContext): Problem[] {
  const newest = new Map(
    [...replica.state.runs.values()].map((run) => [`${run.cluster} ${run.trigger}`, run]),
  );
  return [...newest.values()]
    .filter((run) => run.outcome === "failed")
    .map((run) => ({
      severity: "warning",
      subject: `trigger ${run.cluster}/${run.trigger}`,
      message: `Run ${run.id} failed: ${run.error}`,
      hint: `duckctl triggers runs ${run.cluster} ${run.trigger}`,
    }));
}

function doubtProblems({ fleet, schedule, coordinatorId }: ControlContext): Problem[] {
  const own = { subject: `coordinator ${coordinatorId}`, doubt: schedule.selfDoubt() };
  const agents = fleet.sessions().map((each) => ({ subject: `agent ${each.id}`, doubt: each.selfDoubt }));
  return [own, ...agents]
    .filter(({ doubt }) => doubt.level > 0)
    .map(({ subject, doubt }) => ({
      severity: "warning",
      subject,
      message: `Doubts itself (${doubt.level} of 8): ${doubt.cause}${doubt.level >= ABSTAIN_LEVEL ? "; it abstains" : ""}`,
      hint: "duckctl agents list",
    }));
}
