/** The version of this product, from its package. */
import { readFileSync } from "node:fs";

/** `0.1.0`. The path is the same from the sources and from the compiled files. */
export function productVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const parsed: unknown = JSON.parse(text);
  const version =
    typeof parsed === "object" && parsed !== null && "version" in parsed ? parsed.version : "";
  return typeof version === "string" ? version : "";
}
