import type { DescEnum } from "@bufbuild/protobuf";
import { ClusterduckError } from "../errors.js";

type EnumDesc = Pick<DescEnum, "typeName" | "values" | "sharedPrefix">;

/**
 * An enum's value as people and our own types write it: NODE_STATE_HEALTHY is "healthy", two words become
 * "timedOut". A value that a newer program made is its number.
 */
export function enumWord(desc: EnumDesc, value: number): string {
  const found = desc.values.find((candidate) => candidate.number === value);
  return found === undefined ? String(value) : wordOf(desc, found.name);
}

/** @throws ClusterduckError INVALID_ARGUMENT that names the value and what would work. */
export function enumFromWord(desc: EnumDesc, word: string): number {
  const found = desc.values.find((candidate) => wordOf(desc, candidate.name) === word);
  if (found !== undefined) return found.number;
  const known = desc.values.filter(({ number }) => number !== 0).map(({ name }) => wordOf(desc, name));
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Unknown ${desc.typeName} ${JSON.stringify(word)}: expected ${known.join(", ")}`,
  );
}

function wordOf(desc: EnumDesc, name: string): string {
  const prefix = desc.sharedPrefix ?? "";
  const bare = name.toLowerCase().startsWith(prefix) ? name.slice(prefix.length) : name;
  return bare.toLowerCase().replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
