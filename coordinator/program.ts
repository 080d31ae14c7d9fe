import { systemClock } from "../common/clock.js";
import { createLogger } from "../common/logger.js";
import { systemRandom } from "../common/random.js";
import { startEmbedded } from "./dev/embedded.js";
import { packageRoot, startExample } from "./dev/example.js";
import { greeting } from "./dev/greeting.js";

const logger = createLogger({ program: "duck-coordinator" });
const example = await startExample(packageRoot(), process.env);
const coordinator = await startEmbedded({ file: example.file, clock: systemClock, random: systemRandom, logger, env: process.env, onFailure: (e) => { console.error(e); process.exit(1); } });
process.stdout.write(greeting(coordinator, example));
process.once("SIGINT", () => void coordinator.stop().then(() => example.stop()).then(() => process.exit(0)));
process.once("SIGTERM", () => void coordinator.stop().then(() => example.stop()).then(() => process.exit(0)));
