import { z } from "zod";
import type { TlsConfig } from "../model.js";
import { path } from "./values.js";

/* Which certificates a program shows and trusts. The keys with _file are the words that checks use. */

export function isPem(value: string): boolean {
  return value.includes("-----BEGIN ");
}

const file = path.refine((text) => !isPem(text));

/** Certificates are no secret: their text may stand in the configuration itself. */
const certificate = z
  .string()
  .max(1024 * 1024)
  .refine((text) => isPem(text) || file.safeParse(text).success, {
    message: "is neither a path nor a certificate in PEM form",
  });

/** The configuration's text is replicated and shown by `duckctl config show`: no place for a key. */
const key = z
  .string()
  .refine((text) => !isPem(text), {
    message: "holds the key itself: put it in a file that only the program may read",
  })
  .pipe(path);

/** `%s` stands for `key`, `crt` and `ca`, as the original had it. */
export const tlsPattern = path.refine((text) => text.includes("%s"), {
  message: 'is no pattern: use one like clusterduck.%s, or a mapping with "ca", "cert" and "key"',
});

export function filesOfPattern(pattern: string): TlsConfig {
  const place = (word: string): string => pattern.replaceAll("%s", word);
  return { ca: place("ca"), cert: place("crt"), key: place("key") };
}

const PARTS = ["ca", "cert", "key"] as const;

/** Produces `ca`, `cert` and `key`, whichever words were used. */
export const tls = z.union([
  tlsPattern.transform(filesOfPattern),
  z
    .strictObject({
      ca: certificate.optional().describe("Authorities to trust: a path, or the PEM text"),
      cert: certificate.optional().describe("This program's certificate: a path, or the PEM text"),
      key: key.optional().describe("The path of its private key"),
      ca_file: file.optional().describe("The same as ca"),
      cert_file: file.optional().describe("The same as cert"),
      key_file: file.optional().describe("The same as key"),
    })
    .transform((given, context): TlsConfig => {
      const found = PARTS.map((part) => {
        const values = [given[part], given[`${part}_file`]].filter((value) => value !== undefined);
        if (values.length !== 1) {
          context.addIssue({
            code: "custom",
            path: values.length === 0 ? [] : [`${part}_file`],
            message:
              values.length === 0
                ? `lacks ${part}: ca, cert and key belong together`
                : `stands beside ${part}: use one of them`,
          });
        }
        return values[0] ?? "";
      });
      return { ca: found[0] ?? "", cert: found[1] ?? "", key: found[2] ?? "" };
    }),
]);
