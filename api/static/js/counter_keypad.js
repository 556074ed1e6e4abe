// Keying an amount: "20" means 20.000 ₫, shown at once and in words. The twin of
// api/screens/amounts.py, which reads the form; a browser test holds them equal.

import { wordsFor } from "/static/js/words.js";

export const THOUSANDS_BELOW = 1000;
export const AMOUNT_MAX = 499_999_999;
const DIGITS_MAX = 9;

/** The đồng that an entry means; NaN for what no code can carry. */
export function readAmount(typed, isPlain = false) {
  const digits = typed.replace(/[.,\s₫đ]/g, "");
  if (!/^[0-9]{1,12}$/.test(digits)) return Number.NaN;
  const entered = Number(digits);
  const amount = isPlain || entered >= THOUSANDS_BELOW ? entered : entered * 1000;
  return amount >= 1 && amount <= AMOUNT_MAX ? amount : Number.NaN;
}

export function figures(amountVnd) {
  return String(amountVnd).replace(/\B(?=(\d{3})+$)/g, ".");
}

/**
 * @param {import("./counter_stage.js").Stage} stage
 * @param {{onCode: (amountVnd: number) => void}} options told when a new bill's code is shown
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
  document.addEventListener("input", (event) => {
    if (event.target.id === "amount" && form()) enter(form(), event.target.value, false);
  });
  document.addEventListener("submit", (event) => {
    isOpening = event.target.matches("[data-keying], [data-renew]");
  });
  document.addEventListener("phopay:stage", () => {
    if (form()) prepare(form());
    const bill = stage.element.querySelector("[data-state=open]");
    if (bill && isOpening) onCode(Number(bill.dataset.codeVnd));
    isOpening = false;
  });
  if (form()) prepare(form());
}

function prepare(form) {
  form.elements.amount.inputMode = "none"; // our keys, not the phone's keyboard over them
  draw(form);
}

function press(form, key) {
  const { amount, plain } = form.elements;
  const digits = amount.value.replace(/\D/g, "");
  const next = key === "back" ? digits.slice(0, -1) : digits + key;
  if (next.length > DIGITS_MAX) return;
  enter(form, next.replace(/^0+/, ""), plain.value === "1" && key !== "back");
}

function enter(form, typed, isPlain) {
  form.elements.amount.value = typed.replace(/\D/g, "").slice(0, DIGITS_MAX);
  form.elements.plain.value = isPlain ? "1" : "";
  draw(form);
}

function draw(form) {
  const typed = form.elements.amount.value;
  const isPlain = form.elements.plain.value === "1";
  const amount = readAmount(typed, isPlain);
  const isGood = !Number.isNaN(amount);
  const display = form.querySelector("[data-amount]");
  const shown = isGood ? figures(amount) : figures(Number(typed.replace(/\D/g, "") || 0));
  display.firstChild.textContent = shown;
  display.dataset.digits = shown.length > 10 ? "many" : shown.length > 7 ? "some" : "few";
  display.classList.toggle("amount-empty", !isGood);
  const words = form.querySelector("[data-words]");
  words.textContent = isGood ? wordsFor(amount).join(" ") : words.dataset.empty;
  words.classList.toggle("quiet", !isGood);
  words.lang = isGood ? "vi" : document.documentElement.lang;
  form.querySelector("[data-send]").disabled = !isGood;
  drawUnit(form, typed, isPlain, amount);
}

/** Say that "20" was read as thousands, and let it be changed. */
function drawUnit(form, typed, isPlain, amount) {
  const line = form.querySelector("[data-thousands]");
  const entered = Number(typed || 0);
  line.hidden = !entered || entered >= THOUSANDS_BELOW;
  if (line.hidden) return;
  const word = isPlain ? line.dataset.plainWord : line.dataset.word;
  const fill = (text, vnd) =>
    text.replace("{entered}", typed).replace("{amount}", `${figures(vnd)}\u00a0₫`);
  line.querySelector("span").textContent = fill(word, amount);
  const other = isPlain ? entered * 1000 : entered;
  line.querySelector("button").textContent = fill(line.dataset.button, other);
}
