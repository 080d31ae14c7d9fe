import { ClusterduckError } from "../../common/errors.js";
import { createGrpcClient } from "../../common/grpc/client.js";
import type { GrpcClient } from "../../common/grpc/client.js";
import type { ServiceClient } from "../../common/grpc/service.js";
import type { TlsSource } from "../../common/tls/source.js";
import { TierService } from "../../proto/gen/clusterduck/v1/tier_pb.js";

export type TierCalls = ServiceClient<typeof TierService> &
  Pick<GrpcClient<typeof TierService>, "serverFingerprint">;

/** Ways to the other coordinators: one connection to each, made when it is first needed. */
export class TierPeers {
  readonly #addressOf: (id: string) => string | null;
  readonly #tls: TlsSource | null;
  /** Key: address. */
  readonly #clients = new Map<string, { readonly calls: TierCalls; readonly close: () => void }>();

  /** `addressOf` tells where a member is reached by the others; null: not known. */
  constructor(addressOf: (id: string) => string | null, tls: TlsSource | null) {
    this.#addressOf = addressOf;
    this.#tls = tls;
  }

  /** @throws ClusterduckError UNREACHABLE when nobody knows where it is. */
  to(id: string): TierCalls {
    const address = this.#addressOf(id);
    if (address === null)
      throw new ClusterduckError("UNREACHABLE", `The address of coordinator "${id}" is not known`);
    return this.at(address);
  }

  at(address: string): TierCalls {
    const known = this.#clients.get(address);
    if (known !== undefined) return known.calls;
    const client = createGrpcClient(TierService, address, { tls: this.#tls });
    const calls = { ...client.call, serverFingerprint: () => client.serverFingerprint() };
    this.#clients.set(address, { calls, close: () => client.close() });
    return calls;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}
