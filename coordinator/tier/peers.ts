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
  /** Key: address, with the id of who is to be there where that is known. */
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
    return this.#client(address, id);
  }

  /** Whoever it is that answers there. */
  at(address: string): TierCalls {
    return this.#client(address, null);
  }

  #client(address: string, member: string | null): TierCalls {
    const key = member === null ? address : `${member}@${address}`;
    const known = this.#clients.get(key);
    if (known !== undefined) return known.calls;
    const client = createGrpcClient(TierService, address, {
      tls: this.#tls,
      ...(member === null ? {} : { member }),
    });
    const calls = { ...client.call, serverFingerprint: () => client.serverFingerprint() };
    this.#clients.set(key, { calls, close: () => client.close() });
    return calls;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}
