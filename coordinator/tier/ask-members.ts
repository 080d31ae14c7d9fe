/**
 * Whether the others are lost, as whoever begins again without them believes: a coordinator that was removed, or only
 * cut off for a moment, would make a second tier beside the one that lives.
 */
import { ClusterduckError } from "../../common/errors.js";
import { createGrpcClient } from "../../common/grpc/client.js";
import { majorityOf } from "../../common/majority.js";
import type { TlsSource } from "../../common/tls/source.js";
import { RaftService } from "../../proto/gen/clusterduck/v1/raft_pb.js";
import { saysRemoved } from "../log/transport/admission.js";
import type { OwnName } from "../log/transport/admission.js";
import { decodeEnvelope, encodeEnvelope } from "../log/transport/codec.js";
import type { Member, Membership } from "../raft/membership.js";

export type MemberAnswer = {
  readonly id: string;
  readonly role: Member["role"];
  readonly address: string;
  /** `silent`: nobody is there, or somebody who will have nothing to do with the one who asks. */
  readonly state: "answers" | "removed" | "silent";
};

/** How long all are waited for together, milliseconds: those that are there answer within some hundredths. */
const PATIENCE_MS = 2_500;

/** Introduces this member, which does not run, to all others at the same time. Never rejects. */
export async function askMembers(options: {
  readonly own: OwnName;
  /** As this one's log has them. */
  readonly members: Membership;
  readonly tls: TlsSource | null;
}): Promise<readonly MemberAnswer[]> {
  const { own, members, tls } = options;
  const others = members.filter(({ id, address }) => id !== own.memberId && address !== "");
  const patience = AbortSignal.timeout(PATIENCE_MS);
  return Promise.all(
    others.map(async ({ id, role, address }) => {
      const state = await askOne({ id, address }, { own, tls, signal: patience });
      return { id, role, address, state };
    }),
  );
}

/**
 * @throws ClusterduckError CONFLICT when one of them says that the one who asked was removed, or so many answer that
 * with it they are a majority.
 */
export function assertNotRefuted(
  selfId: string,
  members: Membership,
  answers: readonly MemberAnswer[],
): void {
  const removing = answers.filter(({ state }) => state === "removed");
  if (removing.length > 0) {
    throw new ClusterduckError(
      "CONFLICT",
      `Cannot begin again from "${selfId}": ${namesOf(removing)} ${removing.length === 1 ? "says" : "say"} that it was removed from the tier`,
      {
        hint: `Nothing is lost there. Give this coordinator another id and an empty data directory, and let it join: duckctl tokens create NEW_ID; only to make a second tier beside theirs: --despite-answers`,
      },
    );
  }
  const voters = members.filter(({ role }) => role === "voter");
  const answering = answers.filter(({ role, state }) => role === "voter" && state === "answers");
  // The one who asks would answer too, if it ran.
  const present = answering.length + (voters.some(({ id }) => id === selfId) ? 1 : 0);
  if (answering.length === 0 || present < majorityOf(voters.length)) return;
  throw new ClusterduckError(
    "CONFLICT",
    `Cannot begin again from "${selfId}": ${namesOf(answering)} ${answering.length === 1 ? "answers" : "answer"}, so no majority of ${voters.length} voting coordinators is lost`,
    {
      hint: `Nothing is lost: start "${selfId}" again, and the tier goes on; only to make a second tier beside theirs: --despite-answers`,
    },
  );
}

async function askOne(
  { id, address }: Pick<Member, "id" | "address">,
  {
    own,
    tls,
    signal,
  }: { readonly own: OwnName; readonly tls: TlsSource | null; readonly signal: AbortSignal },
): Promise<MemberAnswer["state"]> {
  const { memberId: from, ...tier } = own;
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  // The stream stays open until the other side has spoken.
  const frames = async function* () {
    yield { envelope: encodeEnvelope({ ...tier, from, to: id, messages: [] }) };
    await new Promise<void>((resolve) => {
      if (either.aborted) resolve();
      else either.addEventListener("abort", () => resolve(), { once: true });
    });
  };
  const client = createGrpcClient(RaftService, address, { tls, member: id, connectMs: PATIENCE_MS });
  try {
    for await (const { envelope } of client.call.exchange(frames(), { signal: either })) {
      return decodeEnvelope(envelope).from === id ? "answers" : "silent";
    }
    return "silent";
  } catch (thrown) {
    return thrown instanceof ClusterduckError && saysRemoved(thrown) ? "removed" : "silent";
  } finally {
    ended.abort();
    client.close();
  }
}

function namesOf(answers: readonly MemberAnswer[]): string {
  return answers.map(({ id, address }) => `${id} (${address})`).join(" and ");
}
