// Words, amounts, times and plates as the attendant's phone writes them.

import { hubNow } from "/static/js/hub_clock.js";

const HANOI = "Asia/Ho_Chi_Minh";
const clock = new Intl.DateTimeFormat("vi-VN", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: HANOI });
const date = new Intl.DateTimeFormat("vi-VN", { day: "2-digit", month: "2-digit", timeZone: HANOI });

/** @param {Record<string, string>} words of gate_app.toml */
export function makeWords(words) {
  /** Say a text, its {placeholders} filled in; one that is missing is shown by its name. */
  const say = (key, values = {}) =>
    (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  say.has = (key) => key in words;

  say.since = (entered) =>
    say("since", { at: say.at(entered), duration: say.duration(hubNow() - Date.parse(entered)) });

  say.duration = (ms) => {
    const minutes = Math.max(0, Math.floor(ms / 60_000));
    if (minutes < 60) return say("minutes", { minutes });
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return say("hours", { hours, minutes: minutes % 60 });
    return say("days", { days: Math.floor(hours / 24), hours: hours % 24 });
  };

  /** "07:12", and the day where it is another one. */
  say.at = (iso) => {
    const instant = Date.parse(iso);
    const isToday = date.format(instant) === date.format(hubNow());
    return isToday ? clock.format(instant) : `${clock.format(instant)} ${date.format(instant)}`;
  };

  say.problem = (code) =>
    say.has(`problem.${code}`) ? say(`problem.${code}`) : say("problem.other", { code });
  return say;
}

export function figures(amountVnd) {
  return String(amountVnd).replace(/\B(?=(\d{3})+$)/g, ".");
}

export function vnd(amountVnd) {
  return `${figures(amountVnd)}\u00a0₫`;
}

/** Put an amount into a .money element, with the size that its digits leave. */
export function fillMoney(element, amountVnd) {
  const text = figures(amountVnd);
  element.dataset.digits = text.length > 10 ? "many" : text.length > 7 ? "some" : "few";
  element.innerHTML = `${text}<span class="currency">&nbsp;₫</span>`;
}

// The common plates; how the hub writes all of them is in parking/plates (a browser test holds
// these equal). What fits none is shown as it was typed.
const NUMBER = /^(\d+)(\d\d)$/;
const CAR = /^(\d\d)([A-Z]|KT|CD|HC|LD|DA|MK|TĐ|CT|LB)(\d{4,5})$/;
const LETTER_AND_DIGIT = /^(\d\d)([A-Z]\d|M[ĐD]\d)(\d{4,5})$/;
const TWO_LETTERS = /^(\d\d)([A-Z]{2})(\d{4,5})$/;

/** The plate as far as it is typed, with the separators that it will have. */
export function drawPlate(typed, isTwoWheeled) {
  const compact = compactPlate(typed);
  const forms = isTwoWheeled ? [[LETTER_AND_DIGIT, "-", " "], [TWO_LETTERS, "", " "]] : [[CAR, "", "-"]];
  for (const [form, first, second] of forms) {
    const parts = form.exec(compact);
    if (!parts) continue;
    const [, province, series, number] = parts;
    const written = number.length === 5 ? number.replace(NUMBER, "$1.$2") : number;
    return `${province}${first}${series}${second}${written}`;
  }
  return compact;
}

export function compactPlate(typed) {
  return typed.toUpperCase().replace(/[^0-9A-ZĐ]/g, "");
}

/** The sign of a class of vehicles. */
export function iconOf(className) {
  return /motorbike|bicycle/.test(className) ? "motorbike" : "car";
}
