/**
 * Many small services in one process: each port answers Redis commands, or HTTP requests, with constant
 * bytes. Usage (with an IPC channel): node many-services.mjs redis|http COUNT. Sends its ports when all listen.
 */
import { once } from "node:events";
import { createServer } from "node:net";

const [kind, count] = [process.argv[2], Number(process.argv[3])];
const PONG = Buffer.from("+PONG\r\n");
const OK = Buffer.from("+OK\r\n");
const HTTP_OK = Buffer.from("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n");
const HTTP_LAST = Buffer.from(
  "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n",
);

function serveRedis(socket) {
  socket.on("data", (bytes) => {
    const text = bytes.toString("latin1");
    // One command each, or the few of a handshake in one piece.
    for (const command of text.split("*").slice(1)) socket.write(command.includes("PING") ? PONG : OK);
  });
}

function serveHttp(socket) {
  socket.on("data", (bytes) => {
    const isLast = /\bHTTP\/1\.0\b|\nconnection: close/i.test(bytes.toString("latin1"));
    if (isLast) socket.end(HTTP_LAST);
    else socket.write(HTTP_OK);
  });
}

const ports = [];
for (let at = 0; at < count; at++) {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    if (kind === "redis") serveRedis(socket);
    else serveHttp(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ports.push(server.address().port);
}
process.send(ports);
process.on("disconnect", () => process.exit(0));
