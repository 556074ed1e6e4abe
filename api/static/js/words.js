// Amounts in Vietnamese words: the twin of core/vnd_words.py (a browser test holds them equal).

const DIGITS = ["không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín"];
// What follows "mươi" changes its sound: hai mươi mốt, hai mươi tư, hai mươi lăm.
const AFTER_TENS = { 1: "mốt", 4: "tư", 5: "lăm" };
const BILLION = 10 ** 9;

export const NORTH = Object.freeze({ linh: "linh", nghin: "nghìn" });
export const SOUTH = Object.freeze({ linh: "lẻ", nghin: "ngàn" });

/** The syllables of an amount in whole đồng: 20000 → ["hai", "mươi", "nghìn", "đồng"]. */
export function wordsFor(amountVnd, dialect = NORTH) {
  return [...numberWords(amountVnd, dialect), "đồng"];
}

/** The syllables of a whole number from 0; throws RangeError for anything else. */
export function numberWords(number, dialect = NORTH) {
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new RangeError(`not a whole number from 0: ${number}`);
  }
  if (number === 0) return [DIGITS[0]];
  const billions = Math.floor(number / BILLION);
  const rest = number % BILLION;
  const words = billions ? [...numberWords(billions, dialect), "tỷ"] : [];
  for (const [value, name] of [[10 ** 6, "triệu"], [10 ** 3, dialect.nghin], [1, ""]]) {
    const group = Math.floor(rest / value) % 1000;
    if (!group) continue;
    words.push(...groupWords(group, words.length === 0, dialect));
    if (name) words.push(name);
  }
  return words;
}

/** 1 to 999; after a larger group the empty hundreds are said too ("không trăm"). */
function groupWords(group, isFirst, { linh }) {
  const hundreds = Math.floor(group / 100);
  const tens = Math.floor(group / 10) % 10;
  const ones = group % 10;
  const words = isFirst && !hundreds ? [] : [DIGITS[hundreds], "trăm"];
  if (tens === 0) {
    if (ones) words.push(...(words.length ? [linh, DIGITS[ones]] : [DIGITS[ones]]));
    return words;
  }
  words.push(...(tens === 1 ? ["mười"] : [DIGITS[tens], "mươi"]));
  if (ones) {
    const isChanged = ones === 5 || tens > 1;
    words.push((isChanged && AFTER_TENS[ones]) || DIGITS[ones]);
  }
  return words;
}
