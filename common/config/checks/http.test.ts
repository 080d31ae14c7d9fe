import assert from "node:assert/strict";
import { test } from "node:test";
import { httpOptions } from "./http.js";
import { websocketOptions } from "./websocket.js";

const problems = (schema: typeof httpOptions | typeof websocketOptions, options: unknown) =>
  (schema.safeParse(options).error?.issues ?? []).map((issue) => `${issue.path.join(".")} ${issue.message}`);

test("what the schemas produce is JSON that passes them again unchanged", () => {
  const http = httpOptions.parse({
    url: "https://a.example/c",
    status: [200, "3xx", "400-404"],
    expect_body: { json: ["a.b", "eq", 1] },
    http_version: 1.1,
    max_body: "64KiB",
    slow: "500ms",
    headers: { "X-Number": 7 },
    certificate_expiry_days: { warn: 30 },
  });
  const websocket = websocketOptions.parse({
    flow: [
      { send_json: { a: 1 } },
      { expect_json: { match: ["op", "exists"] } },
      { expect: "hi" },
      { ping: true },
    ],
    subprotocol: "v1",
  });

  assert.deepEqual(httpOptions.parse(JSON.parse(JSON.stringify(http))), http);
  assert.deepEqual(websocketOptions.parse(JSON.parse(JSON.stringify(websocket))), websocket);
  assert.deepEqual([http.max_body, http.slow, http.http_version], [65_536, 500, "1.1"]);
});

test("the original's match of one triple becomes a list of one", () => {
  const { flow } = websocketOptions.parse({
    flow: [{ expect_json: { match: ["a", "eq", 1], skip_forward: true } }],
  });

  assert.deepEqual(flow, [{ expect_json: { match: [["a", "eq", 1]], skip_forward: true } }]);
});

test("mistakes are named with what would work", () => {
  assert.match(
    problems(httpOptions, { url: "health" }).join(),
    /^url is neither a path nor a URL: use a path such as/,
  );
  assert.match(problems(httpOptions, { url: "http://a:b@c/" }).join(), /use basic_auth/);
  assert.match(problems(httpOptions, { status: "299-200" }).join(), /put the lower status first/);
  assert.match(problems(httpOptions, { http_version: 3 }).join(), /use 1\.1, 2 or auto/);
  assert.match(problems(httpOptions, { body: "x" }).join(), /use method: POST/);
  assert.match(
    problems(httpOptions, { headers: { "a b": "c" } }).join(),
    /headers\.a b is not a header name/,
  );
  assert.match(problems(httpOptions, { headers: { "Content-Length": 3 } }).join(), /leave it out/);
  assert.match(problems(httpOptions, { headers: { a: "b\r\nc: d" } }).join(), /no header can carry/);
  assert.match(problems(httpOptions, { max_body: "1 GiB" }).join(), /is not a size/);
  assert.match(problems(httpOptions, { url: "http://a/", tls: true }).join(), /use https:\/\//);
  assert.match(problems(httpOptions, { basic_auth: { username: "a" } }).join(), /password or password_file/);
  assert.match(problems(httpOptions, { timout: "1s" }).join(), /timout/);
  assert.match(problems(websocketOptions, { flow: [{ say: "x" }] }).join(), /is not a step: use one of send/);
  assert.match(
    problems(websocketOptions, { flow: [{ expect_json: { match: ["a", "gt", "x"] } }] }).join(),
    /give a number/,
  );
  assert.match(problems(websocketOptions, { url: "ftp://a/" }).join(), /is not a URL to check/);
});
