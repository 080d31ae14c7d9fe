/**
 * An HTTP server that says who it is and can close its listening socket while its process lives on.
 * Usage (with an IPC channel): node web-service.mjs PORT. Takes "refuse" and "listen", answers each when done.
 */
import { createServer } from "node:http";

const port = Number(process.argv[2]);
let server = null;

function listen() {
  server = createServer((_request, response) => response.end(String(port)));
  server.listen(port, "127.0.0.1", () => process.send("listening"));
}

function refuse() {
  server.close(() => process.send("refusing"));
  server.closeAllConnections();
}

process.on("message", (word) => (word === "refuse" ? refuse() : listen()));
process.on("disconnect", () => process.exit(0));
listen();
