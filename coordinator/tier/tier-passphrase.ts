import { randomBytes } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Clock } from "../../common/clock.js";
import type { SecretConfig } from "../../common/config/model.js";
import { formatDuration } from "../../common/duration.js";
import { ClusterduckError } from "../../common/errors.js";
import { RefusalLog } from "../../common/grpc/refusals.js";
import type { CallContext, CallOptions } from "../../common/grpc/service.js";
import type { Logger } from "../../common/logger.js";
import {
  Challenges,
  NONCE_BYTES,
  WrongProofs,
  isProof,
  passphraseKey,
  proofOf,
} from "../../common/tls/passphrase.js";
import type { Handshake } from "../../common/tls/passphrase.js";
import type { TlsSource } from "../../common/tls/source.js";
import type {
  PassphraseConfirmation,
  PassphraseConfirmationSchema,
  PassphraseProof,
  PassphraseProofSchema,
} from "../../proto/gen/clusterduck/v1/passphrase_pb.js";
import { readPassphraseFile } from "./passphrase-file.js";
import type { TierCalls } from "./peers.js";

export type TierPassphraseOptions = {
  /** Null: there is none. */
  readonly passphrase: SecretConfig | null;
  readonly tls: TlsSource | null;
  readonly clock: Clock;
  readonly logger: Logger;
};

type ProofInit = MessageInitShape<typeof PassphraseProofSchema>;
type ConfirmationInit = MessageInitShape<typeof PassphraseConfirmationSchema>;

/** One call's proof, and what its answer has to bring. */
export type Proved = {
  readonly proof: ProofInit | undefined;
  /** @throws ClusterduckError NOT_ADMITTED unless the coordinator knows the passphrase too. */
  readonly assertConfirmed: (confirmation: PassphraseConfirmation | undefined) => void;
};

/** Who wants to come in, and what for. */
export type Caller = {
  /** The coordinator's id. */
  readonly id: string;
  /** The call with what it says, in one text that both sides make. */
  readonly subject: string;
};

const HINT =
  "Give all coordinators of the tier the same one: transports: [{type: raft, passphrase_file: PATH}]";

/**
 * What all coordinators of a tier know, and both ends of a join or of the founding prove to each other without
 * telling it. Over TLS a proof holds for one certificate of the coordinator that is called, so that whoever
 * stands between two coordinators, even with a certificate of the tier, can pass nothing on.
 */
export class TierPassphrase {
  readonly #options: TierPassphraseOptions;
  /** Null: no passphrase. */
  readonly #key: Buffer | null;
  readonly #challenges = new Challenges(randomBytes);
  readonly #wrong = new WrongProofs();
  readonly #refusals: RefusalLog;
  /** A connection that was made before a certificate was renewed has seen the one from before. */
  readonly #ownFingerprints = new Set<string>();

  private constructor(options: TierPassphraseOptions, key: Buffer | null) {
    this.#options = options;
    this.#key = key;
    this.#refusals = new RefusalLog(options.logger);
    const { tls } = options;
    this.#ownFingerprints.add(tls?.material.own.fingerprint ?? "");
    tls?.onChange((material) => this.#ownFingerprints.add(material.own.fingerprint));
  }

  /** @throws ClusterduckError CONFIG_UNREADABLE, CONFIG_INVALID with the file's name and what would work. */
  static async open(options: TierPassphraseOptions): Promise<TierPassphrase> {
    const { passphrase, tls } = options;
    if (passphrase === null) return new TierPassphrase(options, null);
    const text = "text" in passphrase ? passphrase.text : await readPassphraseFile(passphrase.file);
    return new TierPassphrase(options, await passphraseKey(text, tls?.material.identity.cluster ?? ""));
  }

  get isSet(): boolean {
    return this.#key !== null;
  }

  /** For whoever is about to prove something; without a passphrase it is empty. */
  challenge(): { nonce: Uint8Array } {
    if (this.#key === null) return { nonce: new Uint8Array() };
    return { nonce: this.#challenges.make(this.#options.clock.monotonicMs()) };
  }

  /**
   * Lets a caller in that knows the passphrase; without one, everybody.
   * @returns What proves to the caller that this coordinator knows it too.
   * @throws ClusterduckError NOT_ADMITTED; OVERLOADED after too many wrong proofs.
   */
  admit(
    proof: PassphraseProof | undefined,
    caller: Caller,
    context: Pick<CallContext, "peer" | "identity">,
  ): ConfirmationInit | undefined {
    const key = this.#key;
    if (key === null) return undefined;
    const source = sourceOf(context);
    const nowMs = this.#options.clock.monotonicMs();
    const waitMs = this.#wrong.waitMs(source, nowMs);
    if (waitMs > 0) {
      const wait = formatDuration(Math.ceil(waitMs / 1_000) * 1_000);
      throw this.#refusal(
        caller,
        context,
        `Too many wrong passphrases from ${source}: none is looked at for ${wait}`,
        { hint: HINT, code: "OVERLOADED" },
      );
    }
    if (proof === undefined) {
      throw this.#refusal(
        caller,
        context,
        `This tier has a passphrase, and coordinator "${caller.id}" has none`,
      );
    }
    if (!this.#challenges.spend(proof.nonce, nowMs)) {
      const words = `The proof of coordinator "${caller.id}" is of no use: its challenge was answered already, or is too old`;
      throw this.#refusal(caller, context, words, { hint: "Try again" });
    }
    const handshake = (serverFingerprint: string): Handshake => ({
      ...this.#handshake(caller, proof),
      serverFingerprint,
    });
    const fingerprint = [...this.#ownFingerprints].find((each) =>
      isProof(key, "joiner", handshake(each), proof.proof),
    );
    if (fingerprint === undefined) {
      this.#wrong.add(source, nowMs);
      throw this.#wrongProof(proof, caller, context);
    }
    return { proof: proofOf(key, "coordinator", handshake(fingerprint)) };
  }

  /**
   * Proves to another coordinator that this one knows the passphrase; without one, nothing.
   * @throws ClusterduckError NOT_ADMITTED where the other one has none; and as the call.
   */
  async prove(calls: TierCalls, address: string, caller: Caller, options: CallOptions): Promise<Proved> {
    const key = this.#key;
    if (key === null) return { proof: undefined, assertConfirmed: () => undefined };
    const { nonce } = await calls.challenge({}, options);
    if (nonce.length === 0) {
      throw new ClusterduckError(
        "NOT_ADMITTED",
        `The coordinator at ${address} has no passphrase, and this one has`,
        { hint: HINT },
      );
    }
    const joinerNonce = randomBytes(NONCE_BYTES);
    const serverFingerprint = calls.serverFingerprint();
    const handshake = { ...this.#handshake(caller, { nonce, joinerNonce }), serverFingerprint };
    return {
      proof: {
        nonce,
        joinerNonce,
        proof: proofOf(key, "joiner", handshake),
        seenFingerprint: serverFingerprint,
      },
      assertConfirmed: (confirmation) => {
        if (isProof(key, "coordinator", handshake, confirmation?.proof ?? new Uint8Array())) return;
        throw new ClusterduckError(
          "NOT_ADMITTED",
          `The coordinator at ${address} did not prove that it knows the passphrase: it is none of this tier, or somebody stands between`,
          { hint: "Check the address, and what forwards connections there" },
        );
      },
    };
  }

  #handshake(
    { id, subject }: Caller,
    { nonce, joinerNonce }: Pick<PassphraseProof, "nonce" | "joinerNonce">,
  ): Omit<Handshake, "serverFingerprint"> {
    const cluster = this.#options.tls?.material.identity.cluster ?? "";
    return { joiner: { role: "member", name: id, cluster }, nonce, joinerNonce, subject };
  }

  #wrongProof(
    { seenFingerprint }: PassphraseProof,
    caller: Caller,
    context: Pick<CallContext, "peer" | "identity">,
  ): ClusterduckError {
    if (this.#ownFingerprints.has(seenFingerprint)) {
      return this.#refusal(
        caller,
        context,
        `The passphrase of coordinator "${caller.id}" is not this tier's`,
      );
    }
    const [own = ""] = this.#ownFingerprints;
    const words = `Coordinator "${caller.id}" was shown another certificate (SHA-256 ${briefly(seenFingerprint)}) than this coordinator's (${briefly(own)}): somebody stands between the two`;
    return this.#refusal(caller, context, words, {
      hint: "Find out what answers at the address that it called, and let TLS end at the coordinator itself",
    });
  }

  #refusal(
    caller: Caller,
    { peer }: Pick<CallContext, "peer">,
    message: string,
    options: { readonly hint: string; readonly code?: "OVERLOADED" } = { hint: HINT },
  ): ClusterduckError {
    const { code = "NOT_ADMITTED", hint } = options;
    this.#refusals.tell(`${caller.id} ${message.slice(0, 60)}`, "tier.not_admitted", {
      coordinator: caller.id,
      from: peer,
      message,
    });
    return new ClusterduckError(code, message, { hint });
  }
}

/** What wrong proofs are counted by: the certificate, or without TLS the host, as ports change. */
function sourceOf({ peer, identity }: Pick<CallContext, "peer" | "identity">): string {
  return identity === null ? peer.replace(/:\d+$/, "") : `coordinator "${identity.name}"`;
}

function briefly(fingerprint: string): string {
  return fingerprint === "" ? "none" : `${fingerprint.slice(0, 16)}…`;
}
