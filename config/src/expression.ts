/**
 * What stands between the parentheses of `%(...)`: a key, or words that are added up from left to
 * right. Pure; where values come from is the caller's matter.
 */

/** Digits at the start of a text as uWSGI reads a number: `12px` is 12, rubbish 0. */
function leadingInteger(text: string): bigint {
  const digits = /^\s*([+-]?\d{1,40})/.exec(text)?.[1];
  return digits === undefined ? 0n : BigInt.asIntN(64, BigInt(digits));
}

const OPERATORS: Readonly<Record<string, (left: bigint, right: bigint) => bigint>> = {
  "+": (left, right) => left + right,
  "-": (left, right) => left - right,
  "*": (left, right) => left * right,
  "/": (left, right) => (right === 0n ? 0n : left / right),
};

/** Without the blanks at both ends; a tab is no blank here. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (text[start] === " ") start += 1;
  while (end > start && text[end - 1] === " ") end -= 1;
  return text.slice(start, end);
}

/**
 * Value of an expression. A single word is a key (`undefined` when there is none: the text stays as
 * written). Several words, separated by blanks, are evaluated from left to right without precedence:
 * `+ - * /` join the value so far with the next word as 64-bit integers (division by 0 gives 0),
 * `++` and `--` add and take 1, digits stand for themselves, any other word for its key's value
 * (missing: empty), and two values without an operator are put together as text.
 */
export function evaluate(
  expression: string,
  lookup: (key: string) => string | undefined,
): string | undefined {
  const whole = trimBlanks(expression);
  if (whole === "") return undefined;
  if (!whole.includes(" ")) return lookup(whole);
  let value = "";
  let operator: ((left: bigint, right: bigint) => bigint) | undefined;
  for (const word of whole.split(/ +/)) {
    if (word === "++" || word === "--") {
      if (value !== "")
        value = BigInt.asIntN(64, leadingInteger(value) + (word === "++" ? 1n : -1n)).toString();
    } else if (Object.hasOwn(OPERATORS, word)) operator = OPERATORS[word];
    else {
      const operand = /^\d+$/.test(word) ? word : (lookup(word) ?? "");
      if (operator === undefined) value += operand;
      else
        value = BigInt.asIntN(
          64,
          operator(leadingInteger(value), leadingInteger(operand)),
        ).toString();
      operator = undefined;
    }
  }
  return value;
}
