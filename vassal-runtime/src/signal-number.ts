/** Names and numbers of signals in a configuration. Pure but for the machine's own table of names. */
import { constants } from "node:os";

const MOST = 64;

/** `TERM`, `SIGTERM`, `term` or `15`; undefined for anything else. */
export function signalNumber(text: string): number | undefined {
  const word = text.trim().toUpperCase();
  if (/^\d{1,2}$/.test(word)) {
    const number = Number(word);
    return number >= 1 && number <= MOST ? number : undefined;
  }
  const name = word.startsWith("SIG") ? word : `SIG${word}`;
  return Object.entries(constants.signals).find(([known]) => known === name)?.[1];
}
