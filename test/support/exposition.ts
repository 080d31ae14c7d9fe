import assert from "node:assert/strict";

export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};
export type Family = { readonly type: string; readonly help: string; readonly samples: readonly Sample[] };

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const SAMPLE = new RegExp(String.raw`^(${NAME})(?:\{((?:${LABEL})(?:,(?:${LABEL}))*)\})? (\S+)$`);
const SUFFIXES: Readonly<Record<string, RegExp>> = {
  histogram: /_(bucket|sum|count)$/,
  summary: /_(sum|count)$/,
};

/**
 * Reads Prometheus' text format, version 0.0.4, and fails for whatever a scraper would refuse: a line it
 * cannot read, a sample without its family's TYPE, a family or a sample that is there twice.
 */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  assert.ok(text.endsWith("\n"), "the last line must end");
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const seen = new Set<string>();
  for (const line of text.split("\n").filter((each) => each !== "")) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment;
      const family = families.get(name) ?? { type: "", help: "", samples: [] };
      families.set(name, family);
      assert.equal(kind === "HELP" ? family.help : family.type, "", `twice: ${line}`);
      if (kind === "HELP") family.help = rest;
      else family.type = rest;
      continue;
    }
    const match = SAMPLE.exec(line);
    assert.ok(match !== null, `not a sample: ${line}`);
    const [, name = "", labels = "", value = ""] = match;
    const key = line.slice(0, line.lastIndexOf(" "));
    assert.ok(!seen.has(key), `twice: ${key}`);
    seen.add(key);
    assert.match(value, /^([+-]?Inf|NaN|[+-]?\d+(\.\d+)?(e[+-]?\d+)?)$/i, line);
    const family = [...families].find(
      ([each, { type }]) =>
        name === each || (SUFFIXES[type]?.test(name) === true && name.startsWith(`${each}_`)),
    );
    assert.ok(family !== undefined, `no TYPE before ${line}`);
    family[1].samples.push({
      name,
      labels: readLabels(labels),
      value: Number(value.replace("Inf", "Infinity")),
    });
  }
  for (const [name, { type }] of families) assert.match(type, /^(counter|gauge|histogram|summary)$/, name);
  return families;
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name = "", value = ""] of text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
    assert.ok(!(name in labels), `label twice: ${text}`);
    labels[name] = value.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
  }
  return labels;
}
