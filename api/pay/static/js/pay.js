// The pay page and the driver's page stay right while they are open: news of the bill, the end of
// its time, a lost line.

import { announce } from "/static/js/app.js";
import { fetchAnswer } from "/static/js/requests.js";
import { listen } from "/static/js/live.js";

const page = document.getElementById("pay");
let isRefreshing = false;
let isRefreshWanted = false;
let shown = ""; // what was drawn last: the same again would close what is open and read it out anew

/** Fetch how the bill stands and show it; what is wanted during a request is one more. */
async function refresh() {
  if (isRefreshing) {
    isRefreshWanted = true;
    return;
  }
  isRefreshing = true;
  try {
    const { answer, body } = await fetchAnswer(page.dataset.stateAt, { headers: { Accept: "text/html" } });
    if (answer.ok) show(body);
  } catch {
    // no network: the page says so, and the line asks again when it is back
  } finally {
    isRefreshing = false;
    if (isRefreshWanted) {
      isRefreshWanted = false;
      refresh();
    }
  }
}

function show(html) {
  if (html === shown) return;
  shown = html;
  const before = state();
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  page.replaceChildren(fresh.content);
  // Another bill is shown by now: the stream of its news is another, too.
  const bill = page.querySelector("[data-bill]");
  if (bill && bill.dataset.bill !== page.dataset.bill) location.reload();
  const now = page.querySelector("[data-pay-state]");
  if (state() === before) return;
  announce(now.dataset.say);
  scrollTo({ top: 0 });
  if (state() === "paid") navigator.vibrate?.(200);
}

function state() {
  return page.querySelector("[data-pay-state]")?.dataset.payState;
}

const NEWS = [
  "paid",
  "part_paid",
  "over_paid",
  "credited_again",
  "cash_taken_back",
  "payment_taken_back",
  "cancelled",
  "code_changed",
];
const handlers = Object.fromEntries(NEWS.map((name) => [`bill.${name}`, refresh]));
const lost = document.querySelector("[data-lost]");
const LOST_AFTER_MS = 3000; // a line that changes from Wi-Fi to mobile is back sooner
let lostTimer = null;
let wasLost = false;

/** A page that receives nothing must not look as if it waited for the money. */
function showLost(isLost) {
  if (!isLost) {
    clearTimeout(lostTimer);
    lostTimer = null;
    lost.hidden = true;
    return;
  }
  lostTimer ??= setTimeout(() => (lost.hidden = false), LOST_AFTER_MS);
}

const news = { ...handlers, "parking.session_paid": refresh, reload: refresh };
listen(page.dataset.eventsAt, news, {
  onSignal: (isLive) => {
    if (isLive && wasLost) refresh();
    wasLost = !isLive;
    showLost(wasLost);
  },
  onTooMany: showLost,
});
document.addEventListener("phopay:expired", refresh);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") refresh(); // back from the bank's app
});

// While a code is under way the page asks by itself, too: news may have come before it listened.
const UNDER_WAY_MS = 3000;
setInterval(() => {
  if (page.querySelector("[data-under-way]")) refresh();
}, UNDER_WAY_MS);

// What is due grows with the time, and cash makes no news: the driver's page asks now and then.
const refreshS = Number(page.dataset.refreshS ?? 0);
if (refreshS) {
  setInterval(() => {
    if (document.visibilityState === "visible") refresh();
  }, refreshS * 1000);
}

const share = document.querySelector("[data-share]");
if (share) share.hidden = false;
share?.addEventListener("click", async () => {
  const link = location.origin + location.pathname;
  try {
    if (navigator.share) await navigator.share({ title: share.dataset.shareTitle, url: link });
    else await copyLink(link);
  } catch (error) {
    if (error.name !== "AbortError") await copyLink(link).catch(() => prompt("", link));
  }
});

async function copyLink(link) {
  await navigator.clipboard.writeText(link);
  share.querySelector("[data-share-word]").textContent = share.dataset.copiedWord;
  announce(share.dataset.copiedWord);
}
