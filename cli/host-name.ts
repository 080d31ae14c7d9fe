import { isIP } from "node:net";

/** A DNS name or an IP address alone: what a certificate can be for. */
export function isHostName(text: string): boolean {
  if (isIP(text) !== 0) return true;
  return (
    text.length <= 253 &&
    /^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*$/.test(text)
  );
}
