import { createHash } from "node:crypto";

import { GENERATION_VARIABLE } from "../../common/model/generation.js";
import { isHeaderLine, readMarker } from "./marker-block.js";

/** A server line of ours, split into what can be changed in the running proxy and what cannot. */
export type OwnedServer = {
  readonly backend: string;
  readonly name: string;
  readonly address: string;
  /** Null: the line says none, so HAProxy's default (or the user's `default-server`) holds. */
  readonly weight: number | null;
  readonly isDisabled: boolean;
};

export type ConfigurationFacts = {
  readonly servers: readonly OwnedServer[];
  /**
   * Hash of everything that only a reload can change: the whole text without the weight and `disabled` of
   * our own server lines. Equal structure means that a text validated before stands for this one.
   */
  readonly structure: string;
};

const SECTIONS = new Set(
  (
    "global defaults frontend backend listen peers resolvers mailers userlist cache program http-errors " +
    "ring fcgi-app log-forward crt-store traces"
  ).split(" "),
);

/** Reads a HAProxy file. `markers`: only lines inside marker blocks are ours; `all`: every server line. */
export function readConfiguration(text: string, owned: "all" | "markers"): ConfigurationFacts {
  const hash = createHash("sha256");
  const servers: OwnedServer[] = [];
  let section = "";
  let isInBlock = false;
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    const marker = owned === "markers" ? readMarker(line) : null;
    if (marker !== null) isInBlock = marker.kind === "open";
    const word = firstWord(line);
    if (SECTIONS.has(word)) section = word === "backend" || word === "listen" ? nameOf(line) : "";

    const isOurs = owned === "all" || isInBlock;
    if (word === "server" && isOurs) {
      const [server, rest] = readServer(line, section);
      servers.push(server);
      hash.update(rest);
    } else if (!isOurs || !(isHeaderLine(line) || isMarkerLine(line))) {
      hash.update(raw);
    }
    hash.update("\n");
  }
  return { servers, structure: hash.digest("hex") };
}

function firstWord(line: string): string {
  const end = line.search(/\s/);
  return end < 0 ? line : line.slice(0, end);
}

function nameOf(line: string): string {
  return line.split(/\s+/, 2)[1] ?? "";
}

function isMarkerLine(line: string): boolean {
  return line.startsWith(`setenv ${GENERATION_VARIABLE} `);
}

function readServer(line: string, backend: string): readonly [OwnedServer, string] {
  // Our lines put a comment last, and no parameter of ours holds " #".
  const comment = line.indexOf(" #");
  const words = (comment < 0 ? line : line.slice(0, comment)).split(/\s+/);
  let weight: number | null = null;
  let isDisabled = false;
  const rest: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (at > 2 && word === "weight") {
      weight = Number(words[++at]);
    } else if (at > 2 && word === "disabled") {
      isDisabled = true;
    } else {
      rest.push(word);
    }
  }
  const server = { backend, name: words[1] ?? "", address: words[2] ?? "", weight, isDisabled };
  return [server, rest.join(" ")];
}
