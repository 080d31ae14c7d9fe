// A small HTTP server to supervise. Usage: node examples/first-run/web-server.mjs PORT
import { createServer } from "node:http";

const port = Number(process.argv[2]);
if (!Number.isInteger(port) || port < 1 || port > 65_535) {
  process.stderr.write("usage: node web-server.mjs PORT\n");
  process.exit(2);
}

const server = createServer((request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end(request.url === "/health" ? "ok\n" : `Hello from 127.0.0.1:${port}\n`);
});
server.on("error", (error) => {
  process.stderr.write(`error: Cannot listen on 127.0.0.1:${port}: ${error.message}\n`);
  process.exit(1);
});
// The parent (`npm start`) waits for this message; started by hand there is no parent to tell.
server.listen(port, "127.0.0.1", () => process.send?.("listening"));
