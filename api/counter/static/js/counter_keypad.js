// Keying an amount: "20" means 20.000 ₫, shown at once and in words. The twin of
// api/pages/amounts.py, which reads the form; a browser test holds them equal.

import { wordsFor } from "/static/js/words.js";

export const THOUSANDS_BELOW = 1000;
export const AMOUNT_MAX = 499_999_999;
const DIGITS_MAX = 9;

// Digits, or groups of three by one kind of separator, and a currency behind them: "20.5" and
// "20000.00" are no amounts.
const ENTRY =
  /^([0-9]{1,12}|[1-9][0-9]{0,2}([., \u00a0\u202f])[0-9]{3}(?:\2[0-9]{3})*)[ \u00a0\u202f]?(?:₫|đ|vnd|vnđ)?$/i;
const SPACES_AROUND = /^[ \u00a0\u202f]+|[ \u00a0\u202f]+$/g;
const ENTRY_DIGITS_MAX = 12;

/** The đồng that an entry means; NaN for what no code can carry. */
export function readAmount(typed, isPlain = false) {
  const digits = digitsOf(typed);
  if (digits === null) return Number.NaN;
  const entered = Number(digits);
  const amount = isPlain || entered >= THOUSANDS_BELOW ? entered : entered * 1000;
  return amount >= 1 && amount <= AMOUNT_MAX ? amount : Number.NaN;
}

/** The digits of an entry without what groups them; null if anything else is in it. */
function digitsOf(typed) {
  const digits = ENTRY.exec(typed.replace(SPACES_AROUND, ""))?.[1].replace(/[^0-9]/g, "");
  return digits && digits.length <= ENTRY_DIGITS_MAX ? digits : null;
}

export function figures(amountVnd) {
  return String(amountVnd).replace(/\B(?=(\d{3})+$)/g, ".");
}

/**
 * @param {import("./counter_stage.js").Stage} stage
 * @param {{onCode: (amountVnd: number) => void}} options called when a new bill's code is shown
 */
export function bindKeypad(stage, { onCode }) {
  let isOpening = false;
  const form = () => stage.element.querySelector("[data-keying]");

  document.addEventListener("click", (event) => {
    const key = event.target.closest("[data-key]")?.dataset.key;
    const quick = event.target.closest("[data-quick]")?.dataset.quick;
    if (!form()) return;
    if (key) press(form(), key);
    if (quick) {
      event.preventDefault(); // without scripts it opens the bill; here the amount is read back first
      enter(form(), quick, false);
    }
    if (event.target.closest("[data-unit]")) {
      enter(form(), form().elements.amount.value, form().elements.plain.value !== "1");
    }
  });
  document.addEventListener("keydown", (event) => {
    if (form() && !document.querySelector(".news:not([hidden])")) typeOn(form(), event);
  });
  document.addEventListener("input", (event) => {
    if (event.target.id === "amount" && form()) enter(form(), event.target.value, false);
  });
  document.addEventListener("submit", (event) => {
    isOpening = event.target.matches("[data-keying], [data-renew]");
  });
  document.addEventListener("phopay:stage", () => {
    if (form()) prepare(form());
    const bill = stage.element.querySelector("[data-state=open]");
    if (bill && isOpening && stage.showsCode) onCode(Number(bill.dataset.codeVnd));
    isOpening = isOpening && stage.isUnderWay; // read back once the code is there
  });
  if (form()) prepare(form());
}

function prepare(form) {
  form.elements.amount.inputMode = "none"; // our keys, not the phone's keyboard over them
  draw(form);
}

/**
 * A keyboard beside the counter: its digits are keys wherever the focus is, and Enter makes the
 * code, also where the last tap left the focus on a key, which Enter would press once more.
 */
function typeOn(form, event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  if (event.key === "Enter" && at.closest("[data-key], [data-quick]")) {
    event.preventDefault();
    const send = form.querySelector("[data-send]");
    if (!send.disabled && !event.repeat) form.requestSubmit(send);
  }
  if (at.closest("input, textarea, select, summary, [contenteditable]")) return;
  const key = event.key === "Backspace" ? "back" : event.key;
  if (/^([0-9]|back)$/.test(key)) press(form, key);
}

function press(form, key) {
  const { amount, plain } = form.elements;
  const entered = digitsOf(amount.value) ?? amount.value; // what is no amount is erased sign by sign
  const next = key === "back" ? entered.slice(0, -1) : entered + key;
  if (next.length > DIGITS_MAX && key !== "back") return;
  enter(form, next.replace(/^0+(?=[0-9])|^0+$/, ""), plain.value === "1" && key !== "back");
}

function enter(form, typed, isPlain) {
  if (form.elements.amount.value !== typed) form.elements.amount.value = typed;
  form.elements.plain.value = isPlain ? "1" : "";
  draw(form);
}

function draw(form) {
  const typed = form.elements.amount.value;
  const isPlain = form.elements.plain.value === "1";
  const amount = readAmount(typed, isPlain);
  const isGood = !Number.isNaN(amount);
  const display = form.querySelector("[data-amount]");
  const shown = isGood ? figures(amount) : typed.trim() || "0";
  const isBad = !isGood && /[^0\s]/.test(typed);
  display.firstChild.textContent = shown;
  display.dataset.digits = shown.length > 10 ? "many" : shown.length > 7 ? "some" : "few";
  display.classList.toggle("amount-empty", !isGood);
  const words = form.querySelector("[data-words]");
  words.textContent = isGood ? wordsFor(amount).join(" ") : words.dataset[isBad ? "bad" : "empty"];
  words.classList.toggle("quiet", !isGood && !isBad);
  words.classList.toggle("amount-bad", isBad);
  words.lang = isGood ? "vi" : document.documentElement.lang;
  for (const send of form.querySelectorAll("[data-send]")) send.disabled = !isGood;
  drawUnit(form, typed, isPlain, amount);
}

/** Say that "20" was read as thousands, and let it be changed. */
function drawUnit(form, typed, isPlain, amount) {
  const line = form.querySelector("[data-thousands]");
  const entered = Number(digitsOf(typed) ?? 0);
  line.hidden = !entered || entered >= THOUSANDS_BELOW;
  if (line.hidden) return;
  const word = isPlain ? line.dataset.plainWord : line.dataset.word;
  const fill = (text, vnd) =>
    text.replace("{entered}", String(entered)).replace("{amount}", `${figures(vnd)}\u00a0₫`);
  line.querySelector("span").textContent = fill(word, amount);
  const other = isPlain ? entered * 1000 : entered;
  line.querySelector("button").textContent = fill(line.dataset.button, other);
}
