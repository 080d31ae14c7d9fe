import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type {
  MemberTrouble as WireTrouble,
  MemberTroubleSchema,
} from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { DiskTrouble } from "../log/disk-trouble.js";
import type { PeerProblem } from "../log/replicated-log.js";

/** Why the log of a member that is there does not answer, as it tells itself. */
export type MemberTrouble = PeerProblem & {
  /** `disk-full`, `disk-slow`, or what a newer program calls it. */
  readonly kind: string;
  /** Unix milliseconds, by that member's clock; null: not told. */
  readonly sinceMs: number | null;
};

export function encodeTrouble(trouble: DiskTrouble): MessageInitShape<typeof MemberTroubleSchema> {
  const { kind, message, hint, sinceMs } = trouble;
  return { kind, message, hint, since: timestampFromMs(sinceMs) };
}

/** Null: none was told. */
export function decodeTrouble(wire: WireTrouble | undefined): MemberTrouble | null {
  if (wire === undefined || wire.kind === "") return null;
  const { kind, message, hint, since } = wire;
  return { kind, message, hint, sinceMs: since === undefined ? null : timestampMs(since) };
}
