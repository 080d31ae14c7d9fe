/**
 * Brings what `npm start` and `npm test` need in a fresh clone. Needs nothing but Node and npm itself.
 * Usage: node scripts/prepare.mjs start|test
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const MINIMUM_NODE = [20, 19];

const isRoot = process.getuid?.() === 0;

/** Debian packages behind the programs that the tests start. Only root can make network namespaces. */
const TEST_PACKAGES = {
  "redis-server": "redis-server",
  haproxy: "haproxy",
  openssl: "openssl",
  ...(isRoot ? { ip: "iproute2", nft: "nftables" } : {}),
};

const purpose = process.argv[2];
if (purpose !== "start" && purpose !== "test") fail("usage: node scripts/prepare.mjs start|test");

requireNode();
installModules();
await buildIfStale();
if (purpose === "test") installSystemPackages();

function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const isOldEnough = major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1]);
  if (!isOldEnough)
    fail(`Node ${MINIMUM_NODE.join(".")} or newer is needed, this is ${process.versions.node}`);
}

/** npm's own record in node_modules is older than the lock file (or missing): install. */
function installModules() {
  const installed = join(root, "node_modules", ".package-lock.json");
  const isCurrent =
    existsSync(installed) && statSync(installed).mtimeMs >= newest(["package-lock.json", "package.json"]);
  if (isCurrent) return;
  process.stderr.write("Installing the modules of package-lock.json ...\n");
  run("npm", ["ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]);
}

async function buildIfStale() {
  const built = join(root, "dist", "duck-coordinator.js");
  const sources = [
    "agent",
    "appliers",
    "checks",
    "cli",
    "common",
    "coordinator",
    "proto",
    "package-lock.json",
  ];
  if (existsSync(built) && statSync(built).mtimeMs >= newest(sources)) return;
  process.stderr.write("Building the programs ...\n");
  const { buildPrograms } = await import("./build.mjs");
  await buildPrograms();
}

function installSystemPackages() {
  const missing = Object.entries(TEST_PACKAGES).filter(([program]) => !isOnPath(program));
  if (missing.length === 0) return;
  const packages = missing.map(([, name]) => name);
  const command = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(" ")}`;
  if (!isRoot || !isOnPath("apt-get")) {
    fail(
      `The tests start real servers, and these are missing: ${packages.join(", ")}\n  run: sudo sh -c '${command}'`,
    );
  }
  process.stderr.write(`Installing ${packages.join(", ")} ...\n`);
  // A package's own start-up would occupy ports: policy-rc.d says that no service may start.
  run("sh", [
    "-c",
    `set -e
     policy=/usr/sbin/policy-rc.d
     if [ ! -e "$policy" ]; then printf '#!/bin/sh\\nexit 101\\n' > "$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT; fi
     export DEBIAN_FRONTEND=noninteractive
     { ${command}; } >&2`,
  ]);
}

function isOnPath(program) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(join(folder, program)));
}

/** Modification time of the newest file below the given paths, milliseconds. */
function newest(paths) {
  return Math.max(0, ...paths.map((path) => newestBelow(join(root, path))));
}

function newestBelow(path) {
  if (!existsSync(path)) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newestBelow(join(path, name))));
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error !== undefined) fail(`Cannot run ${program}: ${error.message}`);
  if (status !== 0) fail(`${program} ${args[0]} failed with exit code ${status}`);
}

function fail(message) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(1);
}
