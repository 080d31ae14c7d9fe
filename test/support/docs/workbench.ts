import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseDocument } from "yaml";

import { freePorts } from "../free-port.js";
import { endProcessesOf, RUN_VARIABLE } from "./processes.js";
import { Terminal } from "./terminal.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/**
 * Ports that pages use, in rising order: each becomes a free one, so that a page can be followed beside whatever
 * runs here, and what is sorted by address stays so.
 */
const PORTS = [
  6379, 6380, 7400, 7401, 7402, 7403, 8080, 8081, 8082, 8083, 8100, 8101, 8102, 8103, 8104, 8484, 9910, 9911,
  9912, 9913,
];
const PROGRAMS = ["duckctl", "duck-coordinator", "duck-agent"];

/**
 * A clone of the repository to follow one page in: the built programs, the examples, a home directory,
 * ports of its own, and two terminals. `close` leaves no process and no file behind.
 */
export class Workbench {
  readonly #directory: string;
  readonly #run: string;
  readonly #ports: Map<number, number>;
  readonly first: Terminal;
  readonly second: Terminal;

  private constructor(directory: string, ports: Map<number, number>) {
    this.#directory = directory;
    this.#run = `${process.pid}-${directory}`;
    this.#ports = ports;
    prepareClone(this.#clone, (text) => this.localise(text));
    const options = { cwd: this.#clone, env: this.#environment() };
    this.first = new Terminal(options);
    this.second = new Terminal(options);
  }

  static async open(): Promise<Workbench> {
    // Short: the paths of sockets below it may have 107 bytes.
    const directory = await mkdtemp(join(tmpdir(), "dd-"));
    const free = await freePorts(PORTS.length);
    try {
      return new Workbench(directory, new Map(PORTS.map((port, at) => [port, free[at] ?? port])));
    } catch (thrown) {
      await rm(directory, { recursive: true, force: true, maxRetries: 20 });
      throw thrown;
    }
  }

  /** A page's text with the ports of this workbench. */
  localise(text: string): string {
    return text.replaceAll(/\b\d{4}\b/g, (word) => String(this.#ports.get(Number(word)) ?? word));
  }

  /** What a program printed, with the ports that the page uses. */
  generalise(text: string): string {
    const back = new Map([...this.#ports].map(([page, here]) => [String(here), String(page)]));
    return text.replaceAll(/\b\d{2,5}\b/g, (word) => back.get(word) ?? word);
  }

  write(path: string, text: string): void {
    const file = path.startsWith("~/") ? join(this.#home, path.slice(2)) : join(this.#clone, path);
    mkdirSync(dirname(file), { recursive: true });
    const localised = this.localise(text);
    writeFileSync(file, /\.ya?ml$/.test(path) ? this.#withPorts(localised) : localised);
  }

  async close(): Promise<void> {
    await endProcessesOf(this.#run);
    await Promise.all([this.first.close(), this.second.close()]);
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 20 });
  }

  get #home(): string {
    return join(this.#directory, "home");
  }

  get #clone(): string {
    return join(this.#directory, "clone");
  }

  /** Pages rely on the default ports, which may be taken here. */
  #withPorts(text: string): string {
    const document = parseDocument(text);
    const add = (path: readonly string[], value: unknown): void => {
      if (!document.hasIn(path)) document.setIn(path, value);
    };
    add(["coordinator", "listen"], this.#ports.get(7400));
    add(["coordinator", "http"], this.#ports.get(8484));
    add(["agent", "coordinators"], [`127.0.0.1:${this.#ports.get(7400)}`]);
    return document.toString();
  }

  #environment(): Record<string, string> {
    const { PATH = "", LANG = "C.UTF-8" } = process.env;
    mkdirSync(this.#home, { recursive: true });
    return {
      PATH: `${makeShims(join(this.#directory, "bin"), this.#clone)}:${PATH}:/usr/sbin`,
      HOME: this.#home,
      LANG,
      NO_COLOR: "1",
      DUCK_SERVER: `127.0.0.1:${this.#ports.get(7400)}`,
      [RUN_VARIABLE]: this.#run,
    };
  }
}

function prepareClone(clone: string, localise: (text: string) => string): void {
  if (!existsSync(join(ROOT, "dist", "duck-coordinator.js")))
    throw new Error("the programs are not built: npm run build");
  for (const part of ["bin", "dist", "examples", "package.json"])
    cpSync(join(ROOT, part), join(clone, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(clone, "node_modules"));
  // The example wants certain ports, and its coordinator listens on the default ones.
  replaceIn(join(clone, "examples", "first-run", "clusterduck.yaml"), /^coordinator:$/m, () =>
    localise("coordinator:\n  listen: 7400\n  http: 8484"),
  );
  replaceIn(join(clone, "dist"), /\[8100,[\d, ]+\]/, localise);
}

/** In a file, or in whichever file of a folder holds it. */
function replaceIn(path: string, pattern: RegExp, replace: (found: string) => string): void {
  const files = statSync(path).isFile() ? [path] : readdirSync(path).map((name) => join(path, name));
  const file = files.find((each) => pattern.test(readFileSync(each, "utf8")));
  if (file === undefined) throw new Error(`${path} holds nothing like ${pattern.source}`);
  writeFileSync(file, readFileSync(file, "utf8").replace(pattern, replace));
}

/** `npx PROGRAM`, `npm start` and the installed names, without npm. */
function makeShims(folder: string, clone: string): string {
  mkdirSync(folder);
  const add = (name: string, lines: readonly string[]): void => {
    writeFileSync(join(folder, name), ["#!/bin/sh", ...lines, ""].join("\n"));
    chmodSync(join(folder, name), 0o755);
  };
  const { start } = (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Package).scripts;
  add("npm", [`[ "$*" = start ] || { echo "the test runs no npm $*" >&2; exit 99; }`, `exec ${start}`]);
  add("npx", [`program=$1; shift`, `exec node ${clone}/bin/$program.js "$@"`]);
  for (const name of PROGRAMS) add(name, [`exec node ${clone}/bin/${name}.js "$@"`]);
  return folder;
}

type Package = { readonly scripts: { readonly start: string } };
