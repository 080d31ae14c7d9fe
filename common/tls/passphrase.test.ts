import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { fc } from "../../test/support/properties.js";
import type { Handshake } from "./passphrase.js";
import { Challenges, NONCE_BYTES, WrongProofs, isProof, passphraseKey, proofOf } from "./passphrase.js";

const handshake: Handshake = {
  joiner: { role: "member", name: "c2", cluster: "prod" },
  nonce: Buffer.alloc(NONCE_BYTES, 1),
  joinerNonce: Buffer.alloc(NONCE_BYTES, 2),
  serverFingerprint: "ab".repeat(32),
  subject: "join",
};
const key = Buffer.alloc(32, 7);

test("one passphrase gives one key per tier, whichever way its letters are composed", async () => {
  const [one, again, other] = await Promise.all([
    passphraseKey("d\u00fcck passphrase of the tier", "prod"),
    passphraseKey("du\u0308ck passphrase of the tier", "prod"),
    passphraseKey("d\u00fcck passphrase of the tier", "test"),
  ]);

  assert.deepEqual(one, again);
  assert.notDeepEqual(one, other);
  await assert.rejects(passphraseKey("quack", "prod"), {
    code: "CONFIG_INVALID",
    message: "Cannot use the passphrase: it has 5 characters, expected at least 16",
  });
});

test("each side takes the other's proof, and never its own back", () => {
  const [joiner, coordinator] = [proofOf(key, "joiner", handshake), proofOf(key, "coordinator", handshake)];

  assert.ok(isProof(key, "joiner", handshake, joiner));
  assert.ok(isProof(key, "coordinator", handshake, coordinator));
  assert.ok(!isProof(key, "coordinator", handshake, joiner));
  assert.ok(!isProof(Buffer.alloc(32, 8), "joiner", handshake, joiner));
  assert.ok(!isProof(key, "joiner", handshake, joiner.subarray(1)));
  assert.ok(!isProof(key, "joiner", handshake, Buffer.alloc(0)));
});

test("a proof holds for one handshake: these nonces, this joiner, this coordinator's certificate", () => {
  const proof = proofOf(key, "joiner", handshake);
  const { joiner } = handshake;
  const others: readonly Handshake[] = [
    { ...handshake, serverFingerprint: "cd".repeat(32) },
    { ...handshake, subject: "join as another" },
    { ...handshake, nonce: Buffer.alloc(NONCE_BYTES, 3) },
    { ...handshake, joinerNonce: Buffer.alloc(NONCE_BYTES, 3) },
    { ...handshake, joiner: { ...joiner, name: "c3" } },
    { ...handshake, joiner: { ...joiner, role: "agent" } },
    { ...handshake, joiner: { ...joiner, cluster: "test" } },
  ];

  for (const other of others) assert.ok(!isProof(key, "joiner", other, proof), JSON.stringify(other));
});

test("nonces of another length prove nothing, even when both sides agree on them", () => {
  const short = { ...handshake, joinerNonce: Buffer.alloc(0) };

  assert.ok(!isProof(key, "joiner", short, proofOf(key, "joiner", short)));
});

test("no two handshakes have one proof, wherever their texts are cut", () => {
  const text = fc.string({ maxLength: 6 });
  fc.assert(
    fc.property(text, text, text, text, (nameOne, printOne, nameTwo, printTwo) => {
      fc.pre(nameOne !== nameTwo || printOne !== printTwo);
      const of = (name: string, serverFingerprint: string) =>
        proofOf(key, "joiner", {
          ...handshake,
          joiner: { ...handshake.joiner, name },
          serverFingerprint,
        }).toString("hex");
      assert.notEqual(of(nameOne, printOne), of(nameTwo, printTwo));
    }),
  );
});

test("a challenge answers one proof, within its time", () => {
  const challenges = new Challenges(randomBytes);
  const [spent, late, good] = [challenges.make(0), challenges.make(0), challenges.make(20_000)];

  assert.ok(challenges.spend(spent, 1_000));
  assert.ok(!challenges.spend(spent, 1_000));
  assert.ok(!challenges.spend(late, 31_000));
  assert.ok(challenges.spend(good, 31_000));
  assert.ok(!challenges.spend(Buffer.alloc(NONCE_BYTES), 31_000));
});

test("whoever asks for challenges without end fills no memory, and pushes out the oldest", () => {
  const challenges = new Challenges(randomBytes);
  const first = challenges.make(0);
  const others = Array.from({ length: 1_000 }, () => challenges.make(1));

  assert.ok(!challenges.spend(first, 2));
  assert.ok(others.every((nonce) => challenges.spend(nonce, 2)));
});

test("five wrong proofs in a minute are enough for one source, and sixty for all", () => {
  const wrong = new WrongProofs();
  for (let at = 0; at < 5; at++) {
    assert.equal(wrong.waitMs("c4", at * 1_000), 0);
    wrong.add("c4", at * 1_000);
  }

  assert.equal(wrong.waitMs("c4", 10_000), 50_000);
  assert.equal(wrong.waitMs("c5", 10_000), 0);
  assert.equal(wrong.waitMs("c4", 60_000), 0);
  for (let at = 0; at < 60; at++) wrong.add(`someone else ${at}`, 70_000);
  assert.equal(wrong.waitMs("c5", 70_001), 59_999);
});
