import type { RenderedFile } from "../../appliers/applier.js";

/** What one balancer should run. Equal state gives equal bytes on every member. */
export type Rendering =
  | {
      readonly kind: "rendered";
      readonly balancer: string;
      /** Content hash of the files. */
      readonly generation: string;
      readonly files: readonly RenderedFile[];
      /** `cluster/addr` of every node that new traffic may go to: losing one makes a delivery urgent. */
      readonly routable: ReadonlySet<string>;
      /** What was left out, and why. */
      readonly warnings: readonly string[];
    }
  /** Nothing that could be delivered: the proxy stays as it is. */
  | { readonly kind: "refused"; readonly balancer: string; readonly problems: readonly string[] };
