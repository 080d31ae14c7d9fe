import type { MessageInitShape } from "@bufbuild/protobuf";

import { ABSTAIN_LEVEL } from "../../common/model/assignment.js";
import { describeCertificate } from "../../common/tls/certificate.js";
import { isDue } from "../../common/tls/source.js";
import { RENEW, complaintOfTime, remaining } from "../../common/tls/words.js";
import type { ProblemSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { BalancerStatus, ControlContext } from "./context.js";

type Problem = MessageInitShape<typeof ProblemSchema> & { severity: "error" | "warning" };

/** Whatever needs a person, worst first, each with a command that helps. */
export function problemsOf(context: ControlContext): Problem[] {
  const found = [
    ...leadershipProblems(context),
    ...panicProblems(context),
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

function leadershipProblems({ log }: ControlContext): Problem[] {
  if (log.leadership().leaderId !== null) return [];
  return [
    {
      severity: "error",
      subject: "coordinators",
      message:
        "No leader: nothing is decided until a majority of the coordinators is back; proxies stay as they are",
      hint: "duckctl status",
    },
  ];
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
