export { createWebsocketCheck } from "./websocket/websocket.js";
