import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfigText } from "./load.js";
import { withoutPassphrase } from "./without-passphrase.js";

const SECRET = "a long passphrase of ducks";

for (const [form, written] of [
  ["plain", SECRET],
  ["in quotes", `"${SECRET}"`],
  ["with escapes", `"\\x61${SECRET.slice(1)}"`],
  ["in a block of lines", `|-\n      ${SECRET}`],
  ["anchored", `&secret ${SECRET}`],
  ["with a default in it", `"\${DUCK:-${SECRET}} and more"`],
] as const) {
  test(`a passphrase ${form} leaves the text, and nothing else does`, () => {
    const before =
      "# passphrase: see below\nclusters: {web: {type: tcp}} # kept\ntransports:\n  - type: raft\n";
    const after = "    address: 127.0.0.1:9910\n";

    const text = withoutPassphrase(`${before}    passphrase: ${written}\n${after}`);

    assert.doesNotMatch(text, /ducks/);
    assert.ok(text.startsWith(before) && text.endsWith(after), text);
    const { raft } = parseConfigText(text, "a.yaml", {}).coordinator;
    assert.deepEqual([raft.passphrase, raft.address.port], [null, 9910]);
  });
}

test("a passphrase in braces leaves them whole; a variable, a file and other texts stay", () => {
  assert.equal(
    withoutPassphrase(`transports: [{type: raft, passphrase: ${SECRET}, address: 1}]`),
    "transports: [{type: raft, passphrase: null, address: 1}]",
  );
  for (const text of [
    "transports: [{type: raft, passphrase: '${DUCK_PASSPHRASE}'}]",
    "transports: [{type: raft, passphrase_file: p}]",
    "# passphrase\nclusters: {}\n",
  ])
    assert.equal(withoutPassphrase(text), text);
});

test("the passphrase is a text, a variable or a file, long enough, and never shown", () => {
  const passphraseOf = (entry: string, env = {}) =>
    parseConfigText(`transports: [{type: raft, ${entry}}]`, "/etc/d/c.yaml", env).coordinator.raft.passphrase;

  assert.deepEqual(passphraseOf(`passphrase: ${SECRET}`), { text: SECRET });
  assert.deepEqual(passphraseOf("passphrase: '${P}'", { P: SECRET }), { text: SECRET });
  assert.deepEqual(passphraseOf("passphrase_file: secret/p"), { file: "/etc/d/secret/p" });
  assert.equal(passphraseOf("address: 127.0.0.1:1"), null);
  assert.throws(
    () => passphraseOf("passphrase: quackquack"),
    (error: Error) =>
      /too short: use at least 16 characters/.test(error.message) && !error.message.includes("quackquack"),
  );
  assert.throws(() => passphraseOf(`passphrase: ${SECRET}, passphrase_file: p`), {
    message: /stands beside passphrase: use one of them/,
  });
});
