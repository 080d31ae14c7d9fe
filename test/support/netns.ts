/**
 * Hosts of their own for programs under test: a network namespace each, all on one bridge, and what can happen
 * between them. Needs root, iproute2 and nftables (Linux).
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { networkInterfaces } from "node:os";

/** What arrives nowhere. Everything else arrives. */
export type Weather = {
  /** Directed: nothing goes from the first to the second. */
  readonly cuts: readonly (readonly [from: string, to: string])[];
  /** Of the packets between hosts, by chance, 0 to 100. */
  readonly lossPercent: number;
};

export const FAIR: Weather = { cuts: [], lossPercent: 0 };

export type Network = {
  /** The address of a host; programs in the test itself reach it, whatever the weather. */
  readonly addressOf: (host: string) => string;
  /** Put before a command, it runs on that host. The process is the command itself, so its pid takes signals. */
  readonly on: (host: string) => readonly string[];
  /** Resolves when it is so. */
  readonly become: (weather: Weather) => Promise<void>;
  /** Removes everything. Idempotent. */
  readonly close: () => Promise<void>;
};

const PREFIX = "duck-";
const NAMESPACES = "/var/run/netns";
/** For tests of networks, so that nobody's real network is in it (RFC 2544). */
const SUBNETS = "198.18";

/** Why there can be no namespaces here, in words for a test that is left out; null: there can. */
export async function namespacesProblem(): Promise<string | null> {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const name = `${PREFIX}${process.pid}-try`;
  try {
    await run(["ip", "netns", "add", name]);
  } catch (thrown) {
    return `no network namespaces here (iproute2): ${wordsOf(thrown)}`;
  }
  try {
    await run(["ip", "netns", "exec", name, "nft", "-f", "-"], rulesFor(["192.0.2.1"], [], 1));
    return null;
  } catch (thrown) {
    return `no packet filter here (nftables): ${wordsOf(thrown)}`;
  } finally {
    await run(["ip", "netns", "del", name]);
  }
}

/** @throws Error with the words of the command that failed; nothing is left behind then. */
export async function createNetwork(hosts: readonly string[]): Promise<Network> {
  await removeOrphans();
  const mine = `${PREFIX}${process.pid}-`;
  const namespaceOf = (host: string): string => `${mine}${host}`;
  const hub = namespaceOf("hub");
  const outside = `dk${process.pid}`;
  const subnet = freeSubnet();
  const addressOf = (host: string): string => `${subnet}.${hosts.indexOf(host) + 11}`;
  const inside = (name: string, ...command: readonly string[]): Promise<void> =>
    run(["ip", "-n", name, ...command]);
  let isClosed = false;
  const close = async (): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    await removeNamespaces((name) => name.startsWith(mine));
  };
  try {
    await run(["ip", "netns", "add", hub]);
    await inside(hub, "link", "add", "bridge", "type", "bridge");
    await inside(hub, "link", "set", "bridge", "up");
    await run(["ip", "link", "add", outside, "type", "veth", "peer", "name", "test", "netns", hub]);
    await run(["ip", "address", "add", `${subnet}.1/24`, "dev", outside]);
    await run(["ip", "link", "set", outside, "up"]);
    await inside(hub, "link", "set", "test", "master", "bridge", "up");
    for (const host of hosts) {
      const name = namespaceOf(host);
      await run(["ip", "netns", "add", name]);
      await inside(hub, "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", name);
      await inside(hub, "link", "set", host, "master", "bridge", "up");
      await inside(name, "address", "add", `${addressOf(host)}/24`, "dev", "eth0");
      await inside(name, "link", "set", "eth0", "up");
      await inside(name, "link", "set", "lo", "up");
    }
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return {
    addressOf,
    on: (host) => ["ip", "netns", "exec", namespaceOf(host)],
    become: async ({ cuts, lossPercent }) => {
      await Promise.all(
        hosts.map((host) => {
          const peers = hosts.filter((other) => other !== host).map(addressOf);
          const silent = cuts.filter(([, to]) => to === host).map(([from]) => addressOf(from));
          return run(
            [...["ip", "netns", "exec", namespaceOf(host)], "nft", "-f", "-"],
            rulesFor(peers, silent, lossPercent),
          );
        }),
      );
    },
    close,
  };
}

/** One transaction: there is no moment without rules. */
function rulesFor(peers: readonly string[], silent: readonly string[], lossPercent: number): string {
  const drops = [
    ...silent.map((address) => `ip saddr ${address} drop`),
    ...(lossPercent > 0
      ? [`ip saddr { ${peers.join(", ")} } numgen random mod 1000 < ${Math.round(lossPercent * 10)} drop`]
      : []),
  ];
  return `add table inet duck
delete table inet duck
table inet duck {
  chain arriving {
    type filter hook input priority 0; policy accept;
    ${drops.join("\n    ")}
  }
}
`;
}

function freeSubnet(): string {
  const taken = new Set(
    Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address) ?? []),
  );
  for (let tried = 0; tried < 256; tried++) {
    const subnet = `${SUBNETS}.${(process.pid + tried) % 256}`;
    if (!taken.has(`${subnet}.1`)) return subnet;
  }
  throw new Error(`All of ${SUBNETS}.0.0/16 is in use on this host`);
}

/** Those of tests that were killed before they could clean up, with the programs that still run there. */
async function removeOrphans(): Promise<void> {
  const isOrphan = (name: string): boolean => {
    const pid = /^duck-(\d+)-/.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  };
  for (const name of namespaces().filter(isOrphan)) {
    const { stdout } = spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" });
    for (const pid of stdout.split("\n").filter((line) => line !== "")) killIfThere(Number(pid));
  }
  await removeNamespaces(isOrphan);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

function namespaces(): readonly string[] {
  return existsSync(NAMESPACES) ? readdirSync(NAMESPACES) : [];
}

async function removeNamespaces(isMine: (name: string) => boolean): Promise<void> {
  // The other end of a pair goes with its namespace.
  await Promise.all(
    namespaces()
      .filter(isMine)
      .map((name) => run(["ip", "netns", "del", name])),
  );
}

function run(command: readonly string[], input = ""): Promise<void> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"] });
    let words = "";
    child.stderr.on("data", (chunk: Buffer) => (words += chunk.toString()));
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${command.join(" ")}: ${words.trim() || `exit code ${code}`}`));
    });
    // A program that does not exist takes no input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}

function wordsOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
