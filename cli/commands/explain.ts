import type { Command } from "commander";
import { timestampDate } from "@bufbuild/protobuf/wkt";

import { ExplainResponseSchema } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { Balancer, ExplainResponse } from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { Ballot, BallotEvidence, Cut } from "../../proto/gen/clusterduck/v1/model_pb.js";
import type { CliIo } from "../io.js";
import { age, generationWord, NODES, outcomeWord, stateWord } from "../listings.js";
import { resolveNode } from "../node-argument.js";
import { formatAge } from "../output/age.js";
import { paint, paintState } from "../output/paint.js";
import { printOne } from "../output/print.js";
import { inSession } from "./command.js";
import type { CommandContext } from "./command.js";

export function addExplainCommand(program: Command, context: CommandContext): void {
  program
    .command("explain")
    .argument("<cluster-or-node>")
    .argument("[addr]")
    .description("why a node is in its state: observations, thresholds, ballots, the cut, and what followed")
    .action((first: string, second: string | undefined, _options, command: Command) =>
      inSession(context, command, async (session) => {
        const node = await resolveNode(session, first, second);
        const answer = await session.control.explain({ node }, session.call);
        printOne(session.io, session.format, {
          schema: ExplainResponseSchema,
          message: answer,
          name: answer.node === undefined ? "" : NODES.name(answer.node),
          forPeople: () => describe(answer, session.io),
        });
      }),
    );
}

function describe(answer: ExplainResponse, io: CliIo): string {
  const { node } = answer;
  if (node === undefined) return "";
  const state = paintState(stateWord(node.state), io);
  const sections = [
    [
      `${paint(NODES.name(node), "bold", io)} is ${state} for ${age(node.since, io)}: ${node.cause}`,
      node.overlay === ""
        ? ""
        : `  An operator's word is above that: ${node.overlay} ${node.overlayReason}`.trimEnd(),
      `  Traffic ${node.active ? "may" : "does not"} go to it.`,
      answer.hold === "" ? "" : `  Held: ${answer.hold}`,
    ],
    [
      "",
      paint("Seen now", "bold", io),
      ...evidenceLines(answer.current?.evidence ?? [], io),
      ...verdictLines(answer.current, io),
    ],
    [
      "",
      paint("Decided", "bold", io),
      ...(answer.cuts.length === 0
        ? ["  no cut yet"]
        : answer.cuts.flatMap((cut, at) => cutLines(cut, at === 0, io))),
    ],
    ["", paint("Followed from it", "bold", io), ...consequenceLines(answer, io)],
    ["", paint("Rules", "bold", io), ...answer.rules.map((rule) => `  ${rule}`)],
  ];
  return `${sections.flatMap((lines, at) => lines.filter((line, row) => line !== "" || (at > 0 && row === 0))).join("\n")}\n`;
}

function evidenceLines(evidence: readonly BallotEvidence[], io: CliIo): readonly string[] {
  if (evidence.length === 0) return ["  nothing: no observer has reported yet"];
  return evidence.map((each) => {
    const count = `${each.consecutive} in a row (${each.threshold} needed)`;
    const notes = [
      each.isConclusive ? "conclusive" : "",
      each.isAbstaining ? "abstains" : "",
      each.reason,
      each.detail,
    ].filter((note) => note !== "");
    const outcome = paintState(outcomeWord(each.outcome), io);
    return `  ${each.observer}: ${each.check} ${outcome}, ${count}, ${formatMs(each.ageMs)} ago${notes.length === 0 ? "" : ` (${notes.join("; ")})`}`;
  });
}

function verdictLines(ballot: Ballot | undefined, io: CliIo): readonly string[] {
  return ballot === undefined
    ? []
    : [`  verdict of ${ballot.voter}: ${paintState(stateWord(ballot.verdict), io)} (${ballot.rule})`];
}

function cutLines(cut: Cut, withBallots: boolean, io: CliIo): readonly string[] {
  return cut.transitions.flatMap((transition) => [
    `  cut ${cut.index} (term ${cut.term}, ${cut.decidedAt === undefined ? "" : timestampDate(cut.decidedAt).toISOString()}): ` +
      `${stateWord(transition.from)} → ${paintState(stateWord(transition.to), io)}, ${transition.cause}`,
    ...(withBallots ? transition.ballots.flatMap((ballot) => ballotLines(ballot, io)) : []),
  ]);
}

function ballotLines(ballot: Ballot, io: CliIo): readonly string[] {
  return [
    `    ballot of ${ballot.voter}: ${paintState(stateWord(ballot.verdict), io)} (${ballot.rule})`,
    ...evidenceLines(ballot.evidence, io).map((line) => `    ${line}`),
  ];
}

function consequenceLines(answer: ExplainResponse, io: CliIo): readonly string[] {
  const runs = answer.runs.map((run) => {
    const end = run.error === "" ? `exit ${run.exitCode ?? "-"}` : run.error;
    return `  trigger ${run.trigger}, run ${run.id}: ${paintState(run.outcome, io)} (${end})`;
  });
  const lines = [...runs, ...answer.balancers.flatMap((balancer) => balancerLines(balancer, io))];
  return lines.length === 0 ? ["  no trigger and no balancer was concerned"] : lines;
}

function balancerLines(balancer: Balancer, io: CliIo): readonly string[] {
  return balancer.proxies.map((proxy) => {
    const what = `${generationWord(proxy.appliedGeneration)} by ${proxy.method || "-"} in ${proxy.durationMs.toFixed(0)} ms`;
    const error = proxy.error === "" ? "" : `: ${proxy.error}`;
    return `  balancer ${balancer.name} at ${proxy.target}: ${paintState(proxy.state, io)}, ${what}${error}`;
  });
}

function formatMs(durationMs: number): string {
  return durationMs < 1000 ? `${durationMs.toFixed(0)} ms` : formatAge(durationMs);
}
