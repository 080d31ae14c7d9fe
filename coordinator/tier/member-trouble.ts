import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type {
  MemberTrouble as WireTrouble,
  MemberTroubleSchema,
} from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { MemberTrouble } from "../log/replicated-log.js";

export function encodeTrouble(trouble: MemberTrouble): MessageInitShape<typeof MemberTroubleSchema> {
  const { kind, message, hint, sinceMs } = trouble;
  return { kind, message, hint, since: timestampFromMs(sinceMs) };
}

/** Null: none was told. */
export function decodeTrouble(wire: WireTrouble | undefined): MemberTrouble | null {
  if (wire?.since === undefined) return null;
  const { kind, message, hint, since } = wire;
  return { kind, message, hint, sinceMs: timestampMs(since) };
}
