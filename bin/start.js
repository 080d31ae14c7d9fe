import { existsSync } from "node:fs";

/** Loads a built program. In a clone it is built by \`npm start\`, \`npm test\` or \`npm run build\`. */
export async function start(program) {
  const built = new URL(`../dist/${program}.js`, import.meta.url);
  if (!existsSync(built)) {
    process.stderr.write(`error: Cannot start ${program}: it is not built yet\n  run: npm run build\n`);
    process.exit(1);
  }
  await import(built.href);
}
