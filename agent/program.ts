import { startProgram } from "../common/daemon/start-program.js";

await startProgram(async () => (await import("./daemon.js")).agentDaemon);
