import type { MessageInitShape } from "@bufbuild/protobuf";
import { diffConfig } from "../../common/config/diff.js";
import type { JsonValue, ReplicatedConfig } from "../../common/config/model.js";
import { withoutPassphrase } from "../../common/config/without-passphrase.js";
import { ClusterduckError } from "../../common/errors.js";
import type { ServiceHandlers } from "../../common/grpc/service.js";
import type {
  ApplyConfigRequest,
  ApplyConfigResponseSchema,
  ControlService,
} from "../../proto/gen/clusterduck/v1/control_pb.js";
import type { ControlContext } from "./context.js";
import { askerOf, once, proposeFor } from "./propose.js";
import type { Asker } from "./propose.js";
import { upToDate } from "./up-to-date.js";

type ConfigMethods = Pick<ServiceHandlers<typeof ControlService>, "getConfig" | "applyConfig">;

export function configMethods(context: ControlContext): ConfigMethods {
  const { replica } = context;
  return {
    getConfig: async (request) => {
      await upToDate(replica, request);
      const { yaml, revision, source } = replica.state.config;
      return { yaml, revision: BigInt(revision), source };
    },

    applyConfig: async (request, call) => {
      const asker = askerOf(request, call);
      const { replicated } = await context.parseConfig(request.yaml);
      await replica.readBarrier();
      return once(
        replica,
        { ...asker, type: "applyConfig" },
        () => apply(context, asker, request, replicated),
        ({ index }) => ({ changes: [], revision: BigInt(index), index: BigInt(index), isRepeated: true }),
      );
    },
  };
}

async function apply(
  context: ControlContext,
  asker: Asker,
  request: ApplyConfigRequest,
  replicated: ReplicatedConfig,
): Promise<MessageInitShape<typeof ApplyConfigResponseSchema>> {
  const { replica } = context;
  const before = replica.state.config;
  const ifRevision = request.ifRevision === undefined ? null : Number(request.ifRevision);
  if (ifRevision !== null && ifRevision !== before.revision) {
    throw new ClusterduckError(
      "CONFLICT",
      `Cannot apply to revision ${ifRevision}: the configuration is at revision ${before.revision}`,
      { hint: "duckctl config diff" },
    );
  }
  const changes = diffConfig(before.value, replicated).map((change) => ({
    kind: change.kind,
    path: change.path,
    before: describeValue(change.before),
    after: describeValue(change.after),
  }));
  if (request.isDryRun || changes.length === 0) {
    return { changes, revision: BigInt(before.revision), index: BigInt(replica.state.index) };
  }
  const index = await proposeFor(context, asker, {
    type: "applyConfig",
    config: replicated,
    yaml: withoutPassphrase(request.yaml),
    source: "api",
    fileHash: "",
    // Nobody may have changed it between the plan and the commit.
    ifRevision: before.revision,
  });
  return { changes, revision: BigInt(replica.state.config.revision), index: BigInt(index) };
}

/** Empty for what is not there; text as it is, the rest as JSON. */
function describeValue(value: JsonValue | null): string {
  if (value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
