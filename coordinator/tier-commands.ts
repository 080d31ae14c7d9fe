import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";

import { systemClock } from "../common/clock.js";
import { readFileConfig } from "../common/config/load.js";
import type { CoordinatorConfig } from "../common/config/model.js";
import { configOf } from "../common/daemon/command-line.js";
import type { CommonFlags, DaemonCommands } from "../common/daemon/command-line.js";
import { ClusterduckError, messageOf } from "../common/errors.js";
import { createLogger } from "../common/logger.js";
import { canonicalAddress } from "../common/model/address.js";
import { readTlsOnce } from "../common/tls/source.js";
import type { TlsSource } from "../common/tls/source.js";
import { VERSION } from "../common/version.js";
import { confirm } from "./confirm.js";
import { realDisk } from "./log/storage/disk.js";
import { readNewestMembers } from "./log/storage/newest-members.js";
import { parseSegmentFile } from "./log/storage/segment.js";
import { assertNoUnfinishedRestore } from "./log/storage/unfinished-restore.js";
import { askMembers, assertNotRefuted } from "./tier/ask-members.js";
import { foundTier } from "./tier/found-tier.js";
import { raftAddressOf } from "./tier/open-log.js";
import { assertOneTier, beginAgain, bestOf, readSurvivors } from "./tier/recover-quorum.js";
import type { Survivor } from "./tier/recover-quorum.js";
import { joinDurably } from "./tier/join-tier.js";
import { assertTierFileNotLost } from "./tier/missing-tier-file.js";
import { TierPassphrase } from "./tier/tier-passphrase.js";
import { newTierFile, readTierFile } from "./tier/tier-file.js";
import type { TierFile } from "./tier/tier-file.js";

const DEFAULT_RAFT_PORT = 9910;
const TOKEN_VARIABLE = "DUCK_JOIN_TOKEN";
/** A join token has some hundred. */
const TOKEN_CHARS_MAX = 16 * 1024;

type RecoverFlags = CommonFlags & { readonly yes?: true; readonly despiteAnswers?: true };
type TokenFlags = { readonly token?: string; readonly tokenFile?: string };

/** Commands that make a stopped coordinator a member of a tier. */
export function addTierCommands(context: DaemonCommands): void {
  const { program, io, withFile } = context;
  addRecoverCommand(context);
  withFile(program.command("bootstrap"))
    .description(
      "found a tier together with the other coordinators of the list, then stop; start them after it",
    )
    .addOption(
      new Option("--expect <count>", "how many coordinators found it, this one too").argParser(parseExpect),
    )
    .action(async (flags: CommonFlags & { expect?: number }, command: Command) => {
      const config = readFileConfig(configOf(command)).coordinator;
      const { file, address, tls, passphrase } = await fresh(config);
      if (file.clusterId !== "") {
        io.out(`Coordinator "${config.id}" belongs to tier ${file.clusterId}\n`);
        return;
      }
      const bootstrap = config.raft.bootstrap.filter((place) => place !== address);
      const founded = await foundTier({
        directory: config.dataDir,
        file,
        address,
        listen: config.raft.address,
        bootstrap,
        expect: flags.expect ?? bootstrap.length + 1,
        // Founding is what was asked for.
        join: null,
        isStaying: true,
        tls,
        passphrase,
        version: VERSION,
        clock: systemClock,
        logger: createLogger({ program: "duck-coordinator", level: "error" }),
        signal: interruption(),
        onProgress: (words) => io.err(`${words}\n`),
      });
      const names = founded.founders.map(({ id, address: place }) => `  ${id} at ${place}\n`).join("");
      io.out(`Tier ${founded.clusterId} is founded:\n${names}`);
      io.err(`Start this coordinator now: duck-coordinator -d -c ${configOf(command)}\n`);
    });

  withFile(program.command("join"))
    .argument("<address...>", "where members are reached by other coordinators, host:port; one suffices")
    .addOption(
      new Option(
        "--token-file <path>",
        "file with the token from `duckctl tokens create`, - for standard input; not needed where the configuration has the tier's passphrase",
      ).conflicts("token"),
    )
    .addOption(
      new Option(
        "--token <token>",
        `the token itself, which everybody on this host can see meanwhile; ${TOKEN_VARIABLE} in the environment is not seen`,
      ),
    )
    .description("make this coordinator a member of a tier; start it after it")
    .action(async (addresses: readonly string[], flags: CommonFlags & TokenFlags, command: Command) => {
      const config = readFileConfig(configOf(command)).coordinator;
      const { file, address, tls, passphrase } = await fresh(config);
      if (file.clusterId !== "") {
        io.out(`Coordinator "${config.id}" belongs to tier ${file.clusterId}\n`);
        return;
      }
      const token = await readToken(flags);
      if (token === null && !passphrase.isSet) throw nothingToShow(config.id);
      const { joined, members } = await joinDurably({
        directory: config.dataDir,
        file,
        address,
        version: VERSION,
        addresses: addresses.map(readAddress),
        token,
        tls,
        passphrase,
        signal: interruption(),
      });
      const others = members
        .map(({ id }) => id)
        .filter((id) => id !== config.id)
        .sort();
      io.out(`Coordinator "${config.id}" joins tier ${joined.clusterId} of ${others.join(", ")}\n`);
      io.err(
        `Start it now, and it votes once it has caught up: duck-coordinator -d -c ${configOf(command)}\n`,
      );
    });
}

/** The last resort, for a majority that is lost for good. */
function addRecoverCommand({ program, io, withFile }: DaemonCommands): void {
  withFile(program.command("recover-quorum"))
    .argument("[directory...]", "data directories of the other survivors, or copies of them")
    .option("--yes", "do it without asking")
    .option(
      "--despite-answers",
      "do it though the others are there, or removed this one: makes a second tier beside theirs",
    )
    .description("a majority is lost for good: go on as a tier of one from the survivor that has the most")
    .action(async (others: readonly string[], flags: RecoverFlags, command: Command) => {
      const config = readFileConfig(configOf(command)).coordinator;
      const address = raftAddressOf(config);
      const survivors = await readSurvivors([config.dataDir, ...others]);
      assertOneTier(survivors);
      io.out(describeSurvivors(survivors));
      const best = bestOf(survivors);
      const own = survivors[0];
      if (best === null || own === undefined) {
        throw new ClusterduckError("LOG_CORRUPT", "None of these logs can be used", {
          hint: "Restore a snapshot on an empty data directory: duck-coordinator snapshot restore FILE",
        });
      }
      if (best.directory !== own.directory) {
        throw new ClusterduckError(
          "CONFLICT",
          `Coordinator "${best.coordinatorId}" has more than "${own.coordinatorId}": beginning from here would lose it`,
          {
            hint: `Run this with the configuration of "${best.coordinatorId}", where ${best.directory} comes from`,
          },
        );
      }
      if (flags.despiteAnswers !== true) await assertLost(config, best);
      await confirm({
        answer: best.coordinatorId,
        stake:
          "What only the lost coordinators had acknowledged is gone then, and they may never come back as they were",
        isAgreed: flags.yes === true,
        hint: "Look at the survivors above, and repeat it with --yes",
      });
      const { last, lost } = await beginAgain(best, {
        address,
        clock: systemClock,
        logger: createLogger({ program: "duck-coordinator", level: "error" }),
      });
      io.out(
        `Coordinator "${best.coordinatorId}" is the only member now, from index ${last.index} (term ${last.term})\n`,
      );
      const names = lost.join(" and ") || "the others";
      io.err(
        `Start it, remove the data directories of ${names} so that they never come back as they were, and let new ones join: duckctl tokens create NEW_ID\n`,
      );
    });
}

/** @throws ClusterduckError CONFLICT when the members that the survivor's log names are not lost. */
async function assertLost(config: CoordinatorConfig, survivor: Survivor): Promise<void> {
  const members = (await readNewestMembers(survivor.directory)) ?? [];
  const tls = await tlsOnce(config);
  const { coordinatorId, clusterId, directory } = survivor;
  const incarnation = (await readTierFile(directory))?.incarnation ?? "";
  const own = { memberId: coordinatorId, clusterId, incarnation };
  assertNotRefuted(coordinatorId, members, await askMembers({ own, members, tls }));
}

function describeSurvivors(survivors: readonly Survivor[]): string {
  const best = bestOf(survivors);
  const lines = survivors.map((each) => {
    const { coordinatorId, directory, term, last, problem } = each;
    const mark = each === best ? "*" : " ";
    const found = problem ?? `last entry ${last.index} of term ${last.term}, took part in term ${term}`;
    return `${mark} ${coordinatorId || "?"} in ${directory}: ${found}\n`;
  });
  return `Survivors (* has the most):\n${lines.join("")}`;
}

/** Null: none was given. @throws ClusterduckError CONFIG_UNREADABLE, INVALID_ARGUMENT for a file that holds none. */
async function readToken({ token, tokenFile }: TokenFlags): Promise<string | null> {
  if (tokenFile === undefined) return token ?? (process.env[TOKEN_VARIABLE] || null);
  const place = tokenFile === "-" ? "standard input" : `"${tokenFile}"`;
  let written: string;
  try {
    written = tokenFile === "-" ? await text(process.stdin) : await readFile(tokenFile, "utf8");
  } catch (cause) {
    throw new ClusterduckError(
      "CONFIG_UNREADABLE",
      `Cannot read the join token from ${place}: ${messageOf(cause)}`,
      { cause },
    );
  }
  const read = written.trim();
  if (read !== "" && read.length <= TOKEN_CHARS_MAX && !/\s/.test(read)) return read;
  throw new ClusterduckError(
    "INVALID_ARGUMENT",
    `Cannot join: ${place} holds ${read === "" ? "nothing" : "something else than one join token"}`,
    { hint: "duckctl tokens create ID -o name > FILE" },
  );
}

/** @throws ClusterduckError when the directory or the configuration is not that of a coordinator to be. */
async function fresh(
  config: CoordinatorConfig,
): Promise<{ file: TierFile; address: string; tls: TlsSource | null; passphrase: TierPassphrase }> {
  const { id, dataDir, raft } = config;
  const logger = createLogger({ program: "duck-coordinator", level: "error" });
  if (!raft.isEnabled) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Coordinator "${id}" has no address for other coordinators`,
      { hint: "Give it one: transports: [{type: raft, address: HOST:9910}]" },
    );
  }
  await assertNoUnfinishedRestore(realDisk, dataDir);
  const known = await readTierFile(dataDir);
  if (known === null) await assertTierFileNotLost(id, dataDir);
  const hasLog = (await realDisk.list(dataDir)).some((file) => parseSegmentFile(file) !== null);
  if (hasLog && (known === null || known.clusterId === "")) {
    throw new ClusterduckError("CONFLICT", `"${dataDir}" holds the log of a coordinator that stood alone`, {
      hint: "Start it as it is: with a raft transport it becomes the first of a tier, which others then join; or name an empty data_dir",
    });
  }
  const tls = await tlsOnce(config);
  const passphrase = await TierPassphrase.open({
    passphrase: raft.passphrase,
    tls,
    clock: systemClock,
    logger,
  });
  return { file: known ?? newTierFile(id), address: raftAddressOf(config), tls, passphrase };
}

async function tlsOnce({ tls, id }: CoordinatorConfig): Promise<TlsSource | null> {
  if (tls === null) return null;
  const logger = createLogger({ program: "duck-coordinator", level: "error" });
  return readTlsOnce({ config: tls, expected: { role: "member", name: id }, clock: systemClock, logger });
}

function nothingToShow(id: string): ClusterduckError {
  return new ClusterduckError(
    "INVALID_ARGUMENT",
    "Cannot join: there is neither a token nor a passphrase to be let in by",
    {
      hint: `Name the token that \`duckctl tokens create ${id}\` prints with --token-file or ${TOKEN_VARIABLE}; or the tier's passphrase, if it has one: transports: [{type: raft, passphrase_file: PATH}]`,
    },
  );
}

function readAddress(text: string): string {
  const bare = text.replace(/^(tls|grpcs?):\/\//, "");
  const isHostAlone = /^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.%]+\])$/.test(bare);
  return canonicalAddress(isHostAlone ? `${bare}:${DEFAULT_RAFT_PORT}` : bare);
}

function interruption(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stopping.abort());
  return stopping.signal;
}

function parseExpect(text: string): number {
  const count = Number(text);
  if (/^\d{1,2}$/.test(text) && count >= 1 && count <= 9) return count;
  throw new InvalidArgumentError("expected a number from 1 to 9: 3 or 5 is usual");
}
