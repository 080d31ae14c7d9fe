import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfigText } from "./load.js";
import { ConfigError } from "./problem.js";

const PEM = "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n";

const parse = (text: string) => parseConfigText(text, "/etc/clusterduck/clusterduck.yaml", {});

function problemsOf(text: string): readonly string[] {
  try {
    parse(text);
  } catch (thrown) {
    if (thrown instanceof ConfigError)
      return thrown.problems.map(({ path, message, value }) => `${path}: ${message} [${value ?? ""}]`);
    throw thrown;
  }
  return [];
}

test("certificates are named by path, counted from the file's folder, in either words", () => {
  const wanted = {
    ca: "/etc/clusterduck/tls/ca.crt",
    cert: "/srv/c1.crt",
    key: "/etc/clusterduck/tls/c1.key",
  };

  assert.deepEqual(
    parse("coordinator: {tls: {ca: tls/ca.crt, cert: /srv/c1.crt, key: tls/c1.key}}").coordinator.tls,
    wanted,
  );
  assert.deepEqual(
    parse("agent: {tls: {ca_file: tls/ca.crt, cert_file: /srv/c1.crt, key_file: tls/c1.key}}").agent.tls,
    wanted,
  );
  assert.equal(parse("{}").coordinator.tls, null);
  assert.equal(parse("{}").agent.tls, null);
});

test("the original's pattern names all three files, also where the original had it", () => {
  const wanted = {
    ca: "/etc/clusterduck/duck.ca",
    cert: "/etc/clusterduck/duck.crt",
    key: "/etc/clusterduck/duck.key",
  };

  assert.deepEqual(parse("coordinator: {tls: duck.%s}").coordinator.tls, wanted);
  assert.deepEqual(parse("transports: [{type: raft, tls: duck.%s}]").coordinator.tls, wanted);
  assert.equal(parse("transports: [{type: raft, address: 'tls://127.0.0.1:1'}]").coordinator.tls, null);
});

test("certificates may stand in the configuration itself, keys may not and are never shown", () => {
  const { tls } = parse(`coordinator: {tls: {ca: "${PEM}", cert: "${PEM}", key: c1.key}}`).coordinator;

  assert.equal(tls?.ca, PEM.replaceAll("\\n", "\n"));
  assert.equal(tls.key, "/etc/clusterduck/c1.key");
  const [problem = "", ...others] = problemsOf(
    `coordinator: {tls: {ca: a, cert: b, key: "-----BEGIN PRIVATE KEY-----\\nMIGHAgEA\\n"}}`,
  );
  assert.match(problem, /coordinator\.tls\.key: holds the key itself: put it in a file/);
  assert.doesNotMatch(problem, /MIGH/);
  assert.deepEqual(others, []);
});

test("what is missing, twice there, or no pattern is told", () => {
  assert.deepEqual(problemsOf("coordinator: {tls: {ca: a, cert: b}}"), [
    'coordinator.tls: lacks key: ca, cert and key belong together [{"ca":"a","cert":"b"}]',
  ]);
  assert.match(
    problemsOf("agent: {tls: {ca: a, ca_file: a, cert: b, key: k}}")[0] ?? "",
    /agent\.tls\.ca_file: stands beside ca: use one of them/,
  );
  assert.match(
    problemsOf("agent: {tls: duck.pem}")[0] ?? "",
    /agent\.tls: is no pattern: use one like clusterduck\.%s/,
  );
  assert.match(problemsOf("agent: {tls: {cacert: a}}").join("\n"), /unknown key "cacert"/);
});

test("with certificates a coordinator listens anywhere, and says where it is reached", () => {
  const { coordinator } = parse(
    "coordinator: {listen: '0.0.0.0:7400', http: '[::]:8484', advertise: 'tls://c1.example:7400', tls: duck.%s}",
  );

  assert.deepEqual(coordinator.grpc, { host: "0.0.0.0", port: 7400 });
  assert.deepEqual(coordinator.http, { host: "::", port: 8484 });
  assert.equal(coordinator.advertise, "c1.example:7400");
});
