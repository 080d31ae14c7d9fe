import { ClusterduckError } from "../../common/errors.js";
import type { ErrorCode } from "../../common/errors.js";
import { isAnswer } from "../../common/grpc/status.js";
import { networkIdentity } from "../../common/net/host-identity.js";
import type { TlsSource } from "../../common/tls/source.js";
import { FEATURE_LEVEL } from "../state/features.js";
import type { Founder } from "./founding.js";
import { encodeMember } from "./identity.js";
import type { LivingMember } from "./identity.js";
import { authorityOf, peekJoinToken } from "./join-token.js";
import { TierPeers } from "./peers.js";
import { writeTierFile } from "./tier-file.js";
import type { TierFile } from "./tier-file.js";
import type { TierPassphrase } from "./tier-passphrase.js";

/** Longer than the patience of the one that is asked, milliseconds. */
const JOIN_TIMEOUT_MS = 30_000;
/** Nobody is there, or one that knows no leader: another member may. */
const MAY_BE_BETTER_ELSEWHERE: ReadonlySet<ErrorCode> = new Set(["UNREACHABLE", "TIMED_OUT", "NOT_LEADER"]);

export type JoinOptions = Omit<AskOptions, "member"> & {
  readonly directory: string;
  readonly file: TierFile;
  /** Where the others reach this coordinator. */
  readonly address: string;
  readonly version: string;
};

/**
 * Makes this directory that of a member of a tier.
 * @throws ClusterduckError UNREACHABLE, DISK_FAILED, or with the tier's reason and remedy.
 */
export async function joinDurably(
  options: JoinOptions,
): Promise<{ readonly joined: TierFile; readonly members: readonly Founder[] }> {
  const { directory, file, address, version } = options;
  // First of all durable: whoever is let in must come back with the same name for its disk.
  await writeTierFile(directory, file);
  const { clusterId, incarnation, members } = await askToJoin({
    ...options,
    member: {
      id: file.coordinatorId,
      raftAddress: address,
      agentAddress: "",
      httpAddress: "",
      version,
      networkIdentity: networkIdentity(),
      diskId: file.diskId,
      featureLevel: FEATURE_LEVEL,
      bootId: "",
    },
  });
  const joined = { ...file, clusterId, incarnation };
  await writeTierFile(directory, joined);
  return { joined, members };
}

/** What a proof of the passphrase covers of a join. */
export function joinSubject({ id, raftAddress, diskId }: LivingMember, token: string): string {
  return JSON.stringify(["join", id, raftAddress, diskId, token]);
}

type AskOptions = {
  /** Raft addresses of members; one suffices. */
  readonly addresses: readonly string[];
  /** Null: the passphrase alone is to let it in. */
  readonly token: string | null;
  readonly member: LivingMember;
  readonly tls: TlsSource | null;
  readonly passphrase: TierPassphrase;
  readonly signal: AbortSignal;
};

/**
 * Asks a tier to let this coordinator in.
 * @throws ClusterduckError UNREACHABLE, or with the tier's reason and remedy.
 */
async function askToJoin(
  options: AskOptions,
): Promise<Pick<TierFile, "clusterId" | "incarnation"> & { readonly members: readonly Founder[] }> {
  const { addresses, token, member, tls, passphrase, signal } = options;
  if (token !== null) assertFits(token, member, tls);
  const peers = new TierPeers(() => null, tls);
  const problems: string[] = [];
  let hint = "Name the raft address of a member that runs: duckctl coordinators list -o wide";
  try {
    for (const address of addresses) {
      try {
        const calls = peers.at(address);
        const subject = joinSubject(member, token ?? "");
        const call = { signal, timeoutMs: JOIN_TIMEOUT_MS };
        const { proof, assertConfirmed } = await passphrase.prove(
          calls,
          address,
          { id: member.id, subject },
          call,
        );
        const answer = await calls.join(
          {
            member: encodeMember(member),
            token: token ?? "",
            ...(proof === undefined ? {} : { proof }),
          },
          call,
        );
        assertConfirmed(answer.confirmation);
        const { clusterId, incarnation, members } = answer;
        return { clusterId, incarnation, members };
      } catch (thrown) {
        if (!(thrown instanceof ClusterduckError) || !MAY_BE_BETTER_ELSEWHERE.has(thrown.code)) throw thrown;
        // It runs, so naming another one is not what helps.
        const runs = isAnswer(thrown);
        problems.push(runs ? `${address} answers: ${thrown.message}` : thrown.message);
        hint = thrown.hint ?? hint;
      }
    }
  } finally {
    peers.close();
  }
  throw new ClusterduckError("UNREACHABLE", `Cannot join: ${problems.join("; ")}`, { hint });
}

/** What a token itself says against this coordinator: no need to ask anybody. */
function assertFits(token: string, member: LivingMember, tls: TlsSource | null): void {
  const { coordinatorId, authority } = peekJoinToken(token);
  if (coordinatorId !== member.id) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `The join token is for coordinator "${coordinatorId}", and this one is "${member.id}"`,
      { hint: `Set coordinator.id to "${coordinatorId}"` },
    );
  }
  if (authority === authorityOf(tls)) return;
  throw new ClusterduckError(
    "CONFIG_INVALID",
    "The tier's certificate authority is not the one configured here",
    {
      hint: "Issue this coordinator's certificate with the tier's authority: duckctl tls issue member NAME --host HOST",
    },
  );
}
