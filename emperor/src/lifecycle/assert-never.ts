/** The compiler's proof that a switch is complete, and the assertion for what the compiler cannot see. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value in the life-cycle: ${JSON.stringify(value)}`);
}
