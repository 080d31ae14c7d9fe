import { createHmac, scrypt, timingSafeEqual } from "node:crypto";
import { ClusterduckError } from "../errors.js";
import type { PeerIdentity } from "./identity.js";

/*
 * The original's shared passphrase. Both sides prove that they know it by an HMAC over nonces of both, and over the
 * coordinator's certificate as each of them saw it: whoever stands between them shows another certificate, and what
 * it overhears or passes on fits nothing. It can still try passphrases against what it overheard, so the key is made
 * slowly, and short passphrases are refused.
 */

export const NONCE_BYTES = 32;
const KEY_BYTES = 32;
/** 32 MiB and a tenth of a second for each guess (RFC 7914: N = 2^15, r = 8, p = 1). */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;
export const PASSPHRASE_LENGTH_MIN = 16;

/**
 * The key behind a passphrase: made once when a program starts. `cluster` sees to it that one passphrase gives two
 * tiers two keys.
 * @throws ClusterduckError CONFIG_INVALID for a passphrase that could be guessed.
 */
export async function passphraseKey(passphrase: string, cluster: string): Promise<Buffer> {
  if (passphrase.length < PASSPHRASE_LENGTH_MIN) {
    throw new ClusterduckError(
      "CONFIG_INVALID",
      `Cannot use the passphrase: it has ${passphrase.length} characters, expected at least ${PASSPHRASE_LENGTH_MIN}`,
      { hint: "Make one with: openssl rand -base64 24" },
    );
  }
  return new Promise((resolve, reject) => {
    scrypt(
      passphrase.normalize("NFC"),
      `clusterduck passphrase ${cluster}`,
      KEY_BYTES,
      SCRYPT,
      (error, key) => {
        if (error === null) resolve(key);
        else reject(error);
      },
    );
  });
}

/** What both sides know when they prove something. */
export type Handshake = {
  readonly joiner: PeerIdentity;
  readonly nonce: Uint8Array;
  readonly joinerNonce: Uint8Array;
  /** SHA-256 of the coordinator's certificate, 64 hexadecimal digits: its own, or the one that it was seen with. */
  readonly serverFingerprint: string;
  /** What is asked for: nobody can make something else of it on the way. */
  readonly subject: string;
};

/** Who proves: without it one side could send back what it was sent. */
export type Prover = "joiner" | "coordinator";

export function proofOf(key: Uint8Array, prover: Prover, handshake: Handshake): Buffer {
  const { joiner, nonce, joinerNonce, serverFingerprint, subject } = handshake;
  const hmac = createHmac("sha256", key);
  const parts = [
    "clusterduck passphrase 1",
    prover,
    joiner.cluster,
    joiner.role,
    joiner.name,
    nonce,
    joinerNonce,
    serverFingerprint,
    subject,
  ];
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part) : part;
    // Lengths stand before, so that no two handshakes make one text.
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hmac.update(length).update(bytes);
  }
  return hmac.digest();
}

/** Whether the other side knows the passphrase. Takes as long for a proof that is nearly right. */
export function isProof(key: Uint8Array, prover: Prover, handshake: Handshake, proof: Uint8Array): boolean {
  const isFresh = handshake.nonce.length === NONCE_BYTES && handshake.joinerNonce.length === NONCE_BYTES;
  const expected = proofOf(key, prover, handshake);
  return isFresh && proof.length === expected.length && timingSafeEqual(expected, proof);
}

/** A challenge waits for its proof for so long, milliseconds. */
const CHALLENGE_MS = 30_000;
/** So many wait at most: whoever asks for more pushes out the oldest. */
const CHALLENGES_MAX = 1_000;

/** The nonces that a coordinator has given out: each answers one proof, right or wrong. Time and chance are arguments. */
export class Challenges {
  readonly #randomBytes: (count: number) => Uint8Array;
  /** When each was made. In order of age. */
  readonly #madeMs = new Map<string, number>();

  constructor(randomBytes: (count: number) => Uint8Array) {
    this.#randomBytes = randomBytes;
  }

  make(nowMs: number): Uint8Array {
    for (const [oldest, madeMs] of this.#madeMs) {
      if (this.#madeMs.size < CHALLENGES_MAX && nowMs - madeMs <= CHALLENGE_MS) break;
      this.#madeMs.delete(oldest);
    }
    const nonce = this.#randomBytes(NONCE_BYTES);
    this.#madeMs.set(Buffer.from(nonce).toString("hex"), nowMs);
    return nonce;
  }

  /** Whether it is one of ours that waits still; it does so no more. */
  spend(nonce: Uint8Array, nowMs: number): boolean {
    const key = Buffer.from(nonce).toString("hex");
    const madeMs = this.#madeMs.get(key);
    this.#madeMs.delete(key);
    return madeMs !== undefined && nowMs - madeMs <= CHALLENGE_MS;
  }
}

/** Wrong proofs that one source, and all together, may give in a minute. */
const WRONG_MAX = 5;
const WRONG_MAX_TOGETHER = 60;
const WRONG_FOR_MS = 60_000;

/** How often somebody was wrong lately. Bounded: no more than so many count. Time is an argument. */
export class WrongProofs {
  /** In order of age. */
  #wrong: readonly { readonly source: string; readonly atMs: number }[] = [];

  /** How long `source` has to wait before it may try again, milliseconds; 0: not at all. */
  waitMs(source: string, nowMs: number): number {
    const recent = this.#wrong.filter(({ atMs }) => nowMs - atMs < WRONG_FOR_MS);
    this.#wrong = recent;
    const own = recent.filter((each) => each.source === source);
    const oldest =
      own.length >= WRONG_MAX ? own[0] : recent.length >= WRONG_MAX_TOGETHER ? recent[0] : undefined;
    return oldest === undefined ? 0 : oldest.atMs + WRONG_FOR_MS - nowMs;
  }

  add(source: string, nowMs: number): void {
    this.#wrong = [...this.#wrong, { source, atMs: nowMs }];
  }
}
