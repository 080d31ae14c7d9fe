import { z } from "zod";
import { tlsOption, wordText } from "./parts.js";

/** Options of the check `grpc`: the standard health service, grpc.health.v1.Health/Check. */
export const grpcOptions = z.strictObject({
  /** Service to ask for; empty: the server as a whole. */
  service: wordText.default(""),
  /** The :authority that the server sees; default: the node's address. */
  authority: wordText.min(1).optional(),
  tls: tlsOption.optional(),
  /** Sent with every request, for example an authorization header. */
  metadata: z
    .record(
      z.string().regex(/^[0-9a-z_.-]+$/, "is not a metadata key: use lower case letters, digits, _ . and -"),
      wordText,
    )
    .default({}),
});
export type GrpcOptions = z.infer<typeof grpcOptions>;
