/** The end of patience with a source outside of this process: a command, a server, a name. */

/** What was waited for did not come in time. */
export class SourceTimeout extends Error {
  override readonly name = "SourceTimeout";
  constructor(timeoutMs: number) {
    super(`it did not finish within ${timeoutMs / 1000} s`);
  }
}

/** Bounds for one source. */
export interface SourceBounds {
  readonly maxBytes: number;
  readonly timeoutMs: number;
}

/** The promise's result, or `SourceTimeout` after `timeoutMs`; what is waited for goes on unheard. */
export async function within<Result>(timeoutMs: number, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SourceTimeout(timeoutMs)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
