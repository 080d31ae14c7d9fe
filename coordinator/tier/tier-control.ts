import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../common/clock.js";
import { ClusterduckError } from "../../common/errors.js";
import type { TlsSource } from "../../common/tls/source.js";
import type { MadeToken, TierControl } from "../api/context.js";
import type { ReplicatedLog } from "../log/replicated-log.js";
import type { Replica } from "../replica.js";
import { listed } from "../state/state.js";
import { authorityOf, isJoinToken, peekJoinToken, writeJoinToken } from "./join-token.js";
import type { TierWatch } from "./tier-watch.js";

export type TierControlOptions = {
  readonly id: string;
  readonly replica: Replica;
  readonly log: Pick<ReplicatedLog, "leadership" | "status" | "changeMembership" | "transferLeadership">;
  readonly watch: Pick<TierWatch, "members" | "missingWords" | "noLeaderWords">;
  readonly tls: TlsSource | null;
  readonly clock: Clock;
};

const TOKEN_ID_BYTES = 6;

/** What operators tell the tier about its own members. All but the views is for the leader. */
export function tierControl(options: TierControlOptions): TierControl {
  const { id: self, replica, log, watch, tls, clock } = options;

  const requireLead = (): void => {
    const { isLeader, leaderId } = log.leadership();
    if (isLeader) return;
    throw new ClusterduckError(
      "NOT_LEADER",
      `Coordinator "${self}" does not lead: ${leaderId ?? "nobody"} does`,
    );
  };

  const requireMember = (id: string): void => {
    const { peers } = log.status();
    if (peers.some((peer) => peer.id === id)) return;
    const names = listed(peers.map((peer) => peer.id));
    throw new ClusterduckError(
      "NOT_FOUND",
      `No coordinator ${JSON.stringify(id)} is a member: there are ${names}`,
      {
        hint: "duckctl coordinators list",
      },
    );
  };

  const commit = async (...proposal: Parameters<Replica["propose"]>): Promise<void> => {
    const { result } = await replica.propose(...proposal);
    if (!result.isAccepted) throw new ClusterduckError(result.code, result.message);
  };

  const madeToken = (tokenId: string): MadeToken => {
    const made = replica.state.joinTokens.get(tokenId);
    if (made === undefined) throw new ClusterduckError("NOT_FOUND", `There is no join token "${tokenId}"`);
    const { id, coordinatorId, expiresAtMs } = made;
    const { clusterId, joinSecret } = replica.state;
    const authority = authorityOf(tls);
    const token = writeJoinToken({ id, coordinatorId, clusterId, authority, expiresAtMs }, joinSecret);
    const addresses = log.status().peers.map(({ address }) => address);
    return { id, token, addresses: addresses.filter((address) => address !== ""), expiresAtMs };
  };

  return {
    members: () => watch.members(),
    missingWords: () => watch.missingWords(),
    noLeaderWords: () => watch.noLeaderWords(),

    createJoinToken: async (id, validMs, { by, requestId }) => {
      requireLead();
      requireTransport(log);
      const known = replica.state.members.get(id);
      if (known !== undefined) {
        const what = known.removedAtMs === null ? "is a member" : "was one, and no id is used twice";
        throw new ClusterduckError("CONFLICT", `Cannot add coordinator "${id}": it ${what}`, {
          hint: "Give the new coordinator another id",
        });
      }
      if (replica.state.joinSecret === "") {
        await commit({ type: "setJoinSecret", secret: randomBytes(32).toString("base64url") }, by);
      }
      const tokenId = requestId === "" ? randomBytes(TOKEN_ID_BYTES).toString("hex") : tokenIdOf(requestId);
      const expiresAtMs = Math.round(clock.wallMs() + validMs);
      const token = { id: tokenId, coordinatorId: id, expiresAtMs };
      await commit({ type: "addJoinToken", token }, by, requestId);
      return madeToken(tokenId);
    },

    tokenOf: (requestId) => madeToken(tokenIdOf(requestId)),

    revokeJoinToken: async (idOrToken, { by, requestId }) => {
      requireLead();
      const tokenId = isJoinToken(idOrToken) ? peekJoinToken(idOrToken).id : idOrToken;
      await commit({ type: "revokeJoinToken", tokenId }, by, requestId);
      return tokenId;
    },

    remove: async (id, { by, requestId }) => {
      requireLead();
      const isMember = log.status().peers.some((peer) => peer.id === id);
      const isRecorded = replica.state.members.get(id)?.removedAtMs === null;
      // A removal that was interrupted between its two steps.
      if (!isMember && isRecorded) return commit({ type: "removeMember", memberId: id }, by, requestId);
      requireMember(id);
      if (id === self) {
        await log.transferLeadership(null);
        // Whoever leads now does it.
        throw new ClusterduckError("NOT_LEADER", `Coordinator "${self}" has handed leadership over`);
      }
      await log.changeMembership({ kind: "remove", id });
      if (isRecorded) await commit({ type: "removeMember", memberId: id }, by, requestId);
    },

    promote: async (id) => {
      requireLead();
      requireMember(id);
      await log.changeMembership({ kind: "promote", id });
    },

    transferLeadership: async (to) => {
      requireLead();
      if (to === self) return;
      if (to !== "") requireMember(to);
      await log.transferLeadership(to === "" ? null : to);
    },
  };
}

/** A name, no secret: with the same one for a repeated request, its answer is the same token. */
function tokenIdOf(requestId: string): string {
  return createHash("sha256")
    .update(requestId)
    .digest("hex")
    .slice(0, 2 * TOKEN_ID_BYTES);
}

/** @throws ClusterduckError CONFLICT where no other coordinator could reach this one. */
function requireTransport(log: Pick<ReplicatedLog, "status">): void {
  if (log.status().peers.every(({ address }) => address !== "")) return;
  throw new ClusterduckError("CONFLICT", "Cannot add coordinators: this one has no address for others", {
    hint: "Give it one, `transports: [{type: raft, address: HOST:PORT}]`, and start it again",
  });
}
