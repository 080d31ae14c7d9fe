import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";

const MACHINE_ID_FILES = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/**
 * Equal for two programs for which 127.0.0.1 and a unix path mean the same: same machine, same network
 * namespace. A hash, so that the machine's id itself stays at home.
 */
export function networkIdentity(): string {
  const parts = [machineId(), networkNamespace(), hostname()];
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 32);
}

/** All addresses of this host except loopback and link-local ones, sorted. */
export function localAddresses(): readonly string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(
      (entry) =>
        !entry.internal && !entry.address.startsWith("fe80:") && !entry.address.startsWith("169.254."),
    )
    .map((entry) => entry.address);
  return [...new Set(addresses)].sort();
}

/** Empty where the system has none: then the host's name has to tell machines apart. */
function machineId(): string {
  for (const path of MACHINE_ID_FILES) {
    try {
      return readFileSync(path, "utf8").trim();
    } catch {
      continue;
    }
  }
  return "";
}

/** "net:[4026531840]" on Linux; empty elsewhere. */
function networkNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/net");
  } catch {
    return "";
  }
}
