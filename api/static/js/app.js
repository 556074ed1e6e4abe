// What every page does: remember language and colours, copy texts, count down. No inline code
// anywhere: the pages say what they want by data attributes (docs/screens.md).

import { hubNow } from "/static/js/hub_clock.js";

const THEMES = ["light", "dark", "sunlight"];
const YEAR_S = 365 * 24 * 3600;

/** Keep a choice in a cookie, so that the next page arrives in the right colours already. */
function keep(name, value) {
  const secure = location.protocol === "https:" ? "; secure" : "";
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
}

function currentTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  return document.documentElement.dataset.theme ?? (isDark ? "dark" : "light");
}

function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  keep("phopay_theme", theme);
}

async function copy(button) {
  const word = button.querySelector("[data-copy-word]");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    selectText(button.previousElementSibling); // plain http: copy by hand
    return;
  }
  const before = word?.textContent;
  if (!word || before === button.dataset.copiedWord) return;
  word.textContent = button.dataset.copiedWord;
  announce(button.dataset.copiedWord);
  setTimeout(() => (word.textContent = before), 2000);
}

function selectText(element) {
  if (element) getSelection().selectAllChildren(element);
}

/** Say a short text to screen readers. */
export function announce(text) {
  let region = document.getElementById("announcer");
  if (!region) {
    region = document.createElement("div");
    region.id = "announcer";
    region.className = "sr-only";
    region.setAttribute("role", "status");
    document.body.append(region);
  }
  region.textContent = text;
}

const ASK_AFTER_MS = 1000; // the hub may be a moment behind what is known of its clock
const ASK_EVERY_MS = 2000; // then twice that, four times, … until it says what became of it
const ASK_EVERY_MAX_MS = 60_000;
const ended = new Map(); // by the instant of a ring's end: when to ask next, and how long after it

/**
 * Draw every time ring; one that ends notifies its page by "phopay:expired". A page that shows it
 * again, since the hub has not yet seen the end, gets it again after a while, not at once.
 */
function tick() {
  for (const ring of document.querySelectorAll("[data-until]")) {
    const leftMs = Date.parse(ring.dataset.until) - hubNow();
    const leftS = Math.max(0, Math.ceil(leftMs / 1000));
    const share = Math.min(100, (leftS / Number(ring.dataset.wholeS)) * 100);
    ring.querySelector(".left")?.setAttribute("stroke-dasharray", `${share} 100`);
    (ring.querySelector("text") ?? ring).textContent = clockText(leftS);
    if (-leftMs >= ASK_AFTER_MS) tellEnd(ring);
  }
}

function tellEnd(ring) {
  const { nextAt, waitMs } = ended.get(ring.dataset.until) ?? { nextAt: 0, waitMs: ASK_EVERY_MS };
  const now = performance.now();
  if (now < nextAt) return;
  ended.set(ring.dataset.until, {
    nextAt: now + waitMs,
    waitMs: Math.min(waitMs * 2, ASK_EVERY_MAX_MS),
  });
  ring.dispatchEvent(new CustomEvent("phopay:expired", { bubbles: true }));
}

function clockText(leftS) {
  if (leftS >= 6000) return `${Math.floor(leftS / 3600)} h`;
  return `${Math.floor(leftS / 60)}:${String(leftS % 60).padStart(2, "0")}`;
}

document.addEventListener("change", (event) => {
  if (event.target.dataset.showPassword === undefined) return;
  for (const input of event.target.form.querySelectorAll("[autocomplete$=-password]")) {
    input.type = event.target.checked ? "text" : "password";
  }
});

// A menu closes by a tap beside it and by Escape.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.corner-menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.corner-menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

const ACTIONS = "[data-copy], [data-next-theme], [data-choose-lang], [data-print]";

document.addEventListener("click", (event) => {
  const button = event.target.closest(ACTIONS);
  if (!button) return;
  if (button.dataset.copy !== undefined) copy(button);
  if (button.dataset.print !== undefined) print();
  if (button.dataset.chooseLang) keep("phopay_lang", button.dataset.chooseLang);
  if (button.dataset.nextTheme !== undefined) {
    chooseTheme(THEMES[(THEMES.indexOf(currentTheme()) + 1) % THEMES.length]);
  }
});

// What is on its way shows on what was pressed, on every page.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.matches("[data-stage]")) return;
  event.submitter?.setAttribute("aria-busy", "true");
});
addEventListener("pageshow", () => {
  for (const busy of document.querySelectorAll("button[aria-busy]")) busy.removeAttribute("aria-busy");
});

tick();
setInterval(tick, 1000);
document.addEventListener("phopay:stage", tick); // the counter's screens change without a load
