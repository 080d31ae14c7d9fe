import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallContext, CallOptions } from "../../common/grpc/service.js";
import { invalid } from "../../common/wire/values.js";
import type { IntroduceRequest, IntroduceResponseSchema } from "../../proto/gen/clusterduck/v1/tier_pb.js";
import type { FoundingView } from "./founding.js";
import { decodeView, encodeView } from "./founding-wire.js";
import type { TierCalls } from "./peers.js";
import { assertSpeaksForItself } from "./peer-name.js";
import type { Caller, TierPassphrase } from "./tier-passphrase.js";

type Introducing = { readonly version: string; readonly passphrase: TierPassphrase };

/**
 * Tells the coordinator at an address who this one is. Resolves with who that one is; null: it does not say.
 * @throws ClusterduckError
 */
export async function introduceTo(
  calls: TierCalls,
  address: string,
  own: FoundingView,
  { version, passphrase, call }: Introducing & { readonly call: CallOptions },
): Promise<FoundingView | null> {
  const { proof, assertConfirmed } = await passphrase.prove(calls, address, callerOf(own), call);
  const request = { view: encodeView(own, version), ...(proof === undefined ? {} : { proof }) };
  const { view, confirmation } = await calls.introduce(request, call);
  assertConfirmed(confirmation);
  return view === undefined ? null : decodeView(view);
}

/** The other end, at a coordinator that has not joined or founded anything yet, or that has. */
export function introductions(
  options: Introducing & {
    readonly view: () => FoundingView;
    readonly onView: (view: FoundingView) => void;
  },
): (
  request: IntroduceRequest,
  context: CallContext,
) => Promise<MessageInitShape<typeof IntroduceResponseSchema>> {
  const { view, onView, version, passphrase } = options;
  return async (request, context) => {
    if (request.view === undefined) throw invalid("a coordinator does not say who it is");
    const told = decodeView(request.view);
    assertSpeaksForItself(told.self.id, context.identity);
    const confirmation = passphrase.admit(request.proof, callerOf(told), context);
    onView(told);
    return {
      view: encodeView(view(), version),
      ...(confirmation === undefined ? {} : { confirmation }),
    };
  };
}

/** Who introduces itself, and what its proof of the passphrase covers. */
function callerOf({ self, expect, promised, clusterId }: FoundingView): Caller {
  const list = [self, ...(promised ?? [])].map(({ id, address, diskId }) => [id, address, diskId]);
  return { id: self.id, subject: JSON.stringify(["introduce", expect, clusterId, ...list]) };
}
