/**
 * Takes passwords out of what people read: addresses of monitors, reasons, errors of drivers. Pure.
 */

const MASK = "***";

/** `text` without any of `secrets`, also where they stand URL-encoded. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let result = text;
  // Longest first: one may be a part of another.
  for (const secret of secrets.toSorted((a, b) => b.length - a.length)) {
    if (secret === "") continue;
    result = result.replaceAll(secret, MASK);
    const encoded = encodeURIComponent(secret);
    if (encoded !== secret) result = result.replaceAll(encoded, MASK);
  }
  return result;
}

/**
 * An argument of `emperor` fit for the log: the password of a URL (`//user:SECRET@`) and the values of
 * keys that hold one (`password=`, `sslpassword=`, `secret=`, `token=`) are masked, whatever the
 * scheme. For text that nobody has understood yet; whoever has, uses `withoutSecrets`.
 */
export function maskAddress(text: string): string {
  return (
    text
      // Up to the last @ before the next slash: a password may hold an @ that nobody encoded.
      .replace(/(:\/\/[^:@/\s]*:)[^/\s]*@/g, `$1${MASK}@`)
      .replace(
        /\b([a-z_-]*(?:password|passwd|secret|token)\s*=\s*)('(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|[^\s;,&?]+)/gi,
        `$1${MASK}`,
      )
  );
}
