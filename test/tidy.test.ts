/** The tree keeps the shape of docs/ARCHITECTURE.md: who may import whom, no cycles, nothing unreferenced. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Folder → folders it may import besides itself. The longest matching prefix counts. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  proto: [],
  common: ["proto"],
  checks: ["common", "proto"],
  appliers: ["common"],
  agent: ["appliers", "checks", "common", "proto"],
  coordinator: ["appliers", "checks", "common", "proto"],
  "coordinator/raft": ["common"],
  "coordinator/log": ["common", "coordinator/raft", "proto"],
  "coordinator/state": ["common", "coordinator/log"],
  "coordinator/health": ["checks", "common", "coordinator/state"],
  "coordinator/render": ["appliers", "common", "coordinator/state"],
  cli: ["common", "proto"],
};

/** The composition root of the embedded form alone knows both programs. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = { "coordinator/dev/": ["agent"] };

/** Pure parts reach the world through their arguments only. */
const PURE = ["coordinator/raft/", "coordinator/state/", "coordinator/health/", "coordinator/render/"];
const PURE_BUILTINS = new Set(["node:assert", "node:assert/strict", "node:crypto"]);
const IMPURE_WORDS =
  /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|setImmediate|performance\.now|process\.)/;

/** Types that pure parts may take from folders whose code they must not run. */
const TYPES_ONLY = new Set([
  "coordinator/health→checks",
  "coordinator/render→appliers",
  "coordinator/state→coordinator/log",
]);

type Import = { readonly from: string; readonly to: string; readonly isTypeOnly: boolean };

const sources = listSources(ROOT);
const imports = sources.flatMap(importsOf);

test("folders import only downwards", () => {
  const wrong = imports.filter((each) => !isAllowed(each)).map((each) => `${each.from} imports ${each.to}`);

  assert.deepEqual(wrong, []);
});

test("pure folders touch neither clock, chance, process nor IO", () => {
  const pure = sources.filter((file) => PURE.some((folder) => file.startsWith(folder)) && !isTest(file));
  const wrong = pure.flatMap((file) => {
    const text = readFileSync(join(ROOT, file), "utf8");
    const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    const builtins = [...code.matchAll(/from "(node:[^"]+)"/g)].map((match) => match[1] ?? "");
    const word = IMPURE_WORDS.exec(code)?.[1];
    return [
      ...builtins.filter((name) => !PURE_BUILTINS.has(name)).map((name) => `${file} imports ${name}`),
      ...(word === undefined ? [] : [`${file} uses ${word}`]),
    ];
  });

  assert.deepEqual(wrong, []);
});

test("files do not import each other in circles", () => {
  assert.deepEqual(findCycles(imports.filter((each) => !each.isTypeOnly)), []);
});

test("production code imports no test", () => {
  const wrong = imports.filter((each) => !isTestCode(each.from) && isTestCode(each.to));

  assert.deepEqual(wrong, []);
});

test("every source file is imported, a program, a test or a bench", () => {
  const imported = new Set(imports.map((each) => each.to));
  const isRoot = (file: string): boolean =>
    isTest(file) || /[/-]program\.ts$/.test(file) || /^(bench|examples|scripts)\//.test(file);

  assert.deepEqual(
    sources.filter((file) => !imported.has(file) && !isRoot(file)),
    [],
  );
});

test("files are named in kebab-case", () => {
  const wrong = sources.filter((file) => !/^[a-z0-9-]+(\.[a-z-]+)?\.ts$/.test(file.split("/").at(-1) ?? ""));

  assert.deepEqual(wrong, []);
});

function isAllowed({ from, to, isTypeOnly }: Import): boolean {
  if (/^(test|bench|scripts|examples)\//.test(from) || isTest(from)) return true;
  const exception = Object.entries(EXCEPTIONS).find(([prefix]) => from.startsWith(prefix));
  if (exception?.[1].some((folder) => to.startsWith(`${folder}/`)) === true) return true;
  const home = folderOf(from);
  if (to.startsWith(`${home}/`)) return true;
  const allowed = (MAY_IMPORT[home] ?? []).find((folder) => to.startsWith(`${folder}/`));
  return allowed !== undefined && (isTypeOnly || !TYPES_ONLY.has(`${home}→${allowed}`));
}

function folderOf(file: string): string {
  const names = Object.keys(MAY_IMPORT).filter((folder) => file.startsWith(`${folder}/`));
  return names.sort((left, right) => right.length - left.length)[0] ?? "";
}

function isTest(file: string): boolean {
  return file.endsWith(".test.ts");
}

function isTestCode(file: string): boolean {
  return isTest(file) || file.startsWith("test/") || file.startsWith("bench/");
}

function listSources(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry): readonly string[] => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        return entry.name.startsWith(".") || ["node_modules", "dist", "gen"].includes(entry.name)
          ? []
          : listSources(path);
      }
      return entry.name.endsWith(".ts") ? [relative(ROOT, path)] : [];
    })
    .sort();
}

function importsOf(file: string): readonly Import[] {
  const source = ts.createSourceFile(file, readFileSync(join(ROOT, file), "utf8"), ts.ScriptTarget.ES2023);
  const found: Import[] = [];
  const visit = (node: ts.Node): void => {
    const target = importTarget(node);
    if (target !== null && target.specifier.startsWith(".")) {
      const to = relative(ROOT, resolve(ROOT, dirname(file), target.specifier)).replace(/\.js$/, ".ts");
      if (!to.startsWith("proto/gen/") && !to.endsWith(".json"))
        found.push({ from: file, to, isTypeOnly: target.isTypeOnly });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function importTarget(node: ts.Node): { specifier: string; isTypeOnly: boolean } | null {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    return {
      specifier: node.moduleSpecifier.text,
      isTypeOnly: node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword,
    };
  }
  if (
    ts.isExportDeclaration(node) &&
    node.moduleSpecifier !== undefined &&
    ts.isStringLiteral(node.moduleSpecifier)
  ) {
    return { specifier: node.moduleSpecifier.text, isTypeOnly: node.isTypeOnly };
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments;
    if (argument !== undefined && ts.isStringLiteral(argument))
      return { specifier: argument.text, isTypeOnly: false };
  }
  return null;
}

/** Depth-first search; each cycle is told once, as its path. */
function findCycles(edges: readonly Import[]): readonly string[] {
  const next = groupByFrom(edges);
  const done = new Set<string>();
  const cycles: string[] = [];
  const walk = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file);
    if (at !== -1) {
      cycles.push([...path.slice(at), file].join(" → "));
      return;
    }
    if (done.has(file)) return;
    for (const edge of next.get(file) ?? []) walk(edge.to, [...path, file]);
    done.add(file);
  };
  for (const file of next.keys()) walk(file, []);
  return cycles;
}

function groupByFrom(edges: readonly Import[]): ReadonlyMap<string, readonly Import[]> {
  const groups = new Map<string, Import[]>();
  for (const edge of edges) groups.set(edge.from, [...(groups.get(edge.from) ?? []), edge]);
  return groups;
}
