import type { PeerIdentity } from "../../../common/tls/identity.js";
import { ClusterduckError } from "../../../common/errors.js";

/** Whether a coordinator was removed from the tier, as far as this member knows. Ids are not used twice: it stays so. */
export type IsRemoved = (id: string) => boolean;

/** Who this member is on the wire. */
export type OwnName = {
  readonly memberId: string;
  /** Empty while the tier has no name: then it is not compared. */
  readonly clusterId: string;
  /** Which beginning of the tier it belongs to; empty or left out: the first. */
  readonly incarnation?: string;
};

type Sender = {
  readonly clusterId: string;
  readonly incarnation?: string;
  readonly from: string;
  readonly to: string;
};

/**
 * The tier began anew on one side, under the same name, and the other side goes on as it was. They may not meet in
 * one quorum, and operators on both sides have to know.
 */
export class OtherIncarnation extends ClusterduckError {
  /** The member that was refused. */
  readonly from: string;

  constructor(own: OwnName, sender: Sender) {
    const { from } = sender;
    super(
      "CONFLICT",
      `Cannot take messages of coordinator "${from}": it belongs to ${described(sender)}, "${own.memberId}" to ${described(own)}`,
      {
        hint:
          "recover-quorum or snapshot restore began the tier anew on one side. Keep one side: on the other, stop each coordinator, " +
          "move its data directory away, give it another coordinator.id and let it join: duckctl coordinators add ID",
      },
    );
    this.from = from;
  }
}

/**
 * Whether what comes from a sender is for us, and really from it. Anything else would let a member that was
 * copied, or set up with a wrong address, take part in a quorum that it does not belong to.
 * @throws ClusterduckError CONFLICT or PERMISSION_DENIED, which the sender's operator gets to read.
 */
export function admit(own: OwnName, sender: Sender, identity: PeerIdentity | null): void {
  const { clusterId, from, to } = sender;
  if (identity !== null && identity.name !== from) {
    throw new ClusterduckError(
      "PERMISSION_DENIED",
      `Cannot take messages of coordinator "${from}": the certificate is that of "${identity.name}"`,
      { hint: `Give coordinator "${from}" a certificate of its own` },
    );
  }
  if (own.clusterId !== "" && clusterId !== "" && clusterId !== own.clusterId) {
    throw new ClusterduckError(
      "CONFLICT",
      `Cannot take messages of coordinator "${from}": it belongs to cluster ${clusterId}, "${own.memberId}" to ${own.clusterId}`,
      { hint: `Check the address under which "${from}" looks for "${to}", or its data directory` },
    );
  }
  const [theirs, ours] = [incarnationOf(sender), incarnationOf(own)];
  if (theirs !== "" && ours !== "" && theirs !== ours) throw new OtherIncarnation(own, sender);
  if (to !== own.memberId) {
    throw new ClusterduckError(
      "CONFLICT",
      `Cannot take messages for coordinator "${to}": this is "${own.memberId}"`,
      { hint: `Correct the address of "${to}" among the members` },
    );
  }
  if (from === own.memberId) {
    throw new ClusterduckError(
      "CONFLICT",
      `Cannot take messages of coordinator "${from}": this one has the same id`,
      { hint: "Give each coordinator an id of its own (coordinator.id)" },
    );
  }
}

const REMOVED = "was removed from this tier";

/**
 * A certificate outlives its holder's membership. Raft itself has to believe a leader that it does not know, which
 * one that was removed could claim to be.
 * @throws ClusterduckError PERMISSION_DENIED
 */
export function refuseRemoved(id: string, isRemoved: IsRemoved): void {
  if (!isRemoved(id)) return;
  throw new ClusterduckError("PERMISSION_DENIED", `Coordinator "${id}" ${REMOVED}`, {
    hint: "Stop it; or give it another id and an empty data directory, and let it join: duckctl tokens create NEW_ID",
  });
}

/** Whether a member that was asked has refused because the one who asked was removed. */
export function saysRemoved({ code, message }: ClusterduckError): boolean {
  return code === "PERMISSION_DENIED" && message.endsWith(REMOVED);
}

type Beginning = Pick<OwnName, "clusterId" | "incarnation">;

/** The first one has the tier's own name, also for those who know of no other. Empty: not known yet. */
function incarnationOf({ clusterId, incarnation = "" }: Beginning): string {
  return incarnation === "" ? clusterId : incarnation;
}

function described(beginning: Beginning): string {
  const { clusterId } = beginning;
  const incarnation = incarnationOf(beginning);
  if (incarnation === clusterId) return `tier ${clusterId} as it was founded`;
  return `incarnation ${incarnation} of ${clusterId === "" ? "its tier" : `tier ${clusterId}`}`;
}
