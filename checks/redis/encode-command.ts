/** A command as Redis reads it: an array of texts, each with its length in bytes. */
export function encodeCommand(name: string, args: readonly string[]): Buffer {
  const words = [name, ...args].map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${words.join("")}`);
}
