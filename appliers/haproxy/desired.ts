import { createHash } from "node:crypto";

import type { Bundle } from "../applier.js";
import type { ProxyTargetConfig } from "../../common/config/model.js";
import { generationOf } from "../../common/model/generation.js";
import { editOf, findBlocks, readBundleBlocks, replaceBlocks } from "./marker-block.js";
import type { ApplierMemory } from "./memory.js";
import { readConfiguration } from "./server-lines.js";
import { withoutHostLine, withStatsSocket } from "./stats-socket.js";
import type { ConfigurationFacts } from "./server-lines.js";

/** The file that a bundle asks for. */
export type Desired =
  | {
      readonly kind: "composed";
      readonly text: string;
      readonly checksum: string;
      readonly facts: ConfigurationFacts;
      readonly owned: "all" | "markers";
      readonly adopted: readonly string[] | null;
    }
  | { readonly kind: "refused"; readonly problem: string };

// Everything below blank except tab, newline and carriage return: no configuration needs it.
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Composes the new content from a bundle and what stands on disk (null: no file). Pure. */
export function compose(
  bundle: Bundle,
  onDisk: string | null,
  { path, statsSocket }: Pick<ProxyTargetConfig, "path" | "statsSocket">,
  memory: ApplierMemory,
): Desired {
  const [file] = bundle.files;
  if (file === undefined || bundle.files.length !== 1) {
    return refused(
      `Cannot apply ${bundle.files.length} files to balancer "${bundle.balancer}": expected one`,
    );
  }
  if (generationOf(file.text) !== bundle.generation) {
    return refused(`Cannot apply generation ${bundle.generation}: the content has another hash`);
  }
  if (CONTROL.test(file.text)) {
    return refused(`Cannot apply generation ${bundle.generation}: the content holds control characters`);
  }
  if (file.role === "config") return composed(withStatsSocket(file.text, statsSocket), "all", null);

  if (onDisk === null) {
    return refused(
      `Cannot fill the marker block of "${path}": there is no such file; HAProxy's own file belongs there`,
    );
  }
  const replacement = replaceBlocks(onDisk, readBundleBlocks(file.text), {
    generation: bundle.generation,
    adopted: memory.adopted,
  });
  if (replacement.kind === "refused") {
    return refused(`Cannot fill the marker block of "${path}": ${replacement.problem}`);
  }
  return composed(replacement.text, "markers", replacement.adopted);
}

function composed(text: string, owned: "all" | "markers", adopted: readonly string[] | null): Desired {
  return {
    kind: "composed",
    text,
    checksum: checksumOf(text),
    facts: readConfiguration(text, owned),
    owned,
    adopted,
  };
}

function refused(problem: string): Desired {
  return { kind: "refused", problem };
}

export function checksumOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

export type DiskFacts = {
  /** Empty when the file is not a whole work of ours. */
  readonly generation: string;
  readonly error: string;
};

/** Which generation a file on disk holds. */
export function readDisk(text: string | null, owned: "all" | "markers", memory: ApplierMemory): DiskFacts {
  if (text === null) return { generation: "", error: "" };
  if (owned === "all") return { generation: generationOf(withoutHostLine(text)), error: "" };
  const search = findBlocks(text);
  if (search.kind === "broken") return { generation: "", error: search.problem };
  const generations = new Set<string>();
  for (const block of search.blocks) {
    const edit = editOf(block, memory.adopted);
    if (edit !== null) return { generation: "", error: edit };
    generations.add(block.header?.generation ?? "");
  }
  const [generation] = generations;
  return { generation: generations.size === 1 ? (generation ?? "") : "", error: "" };
}
