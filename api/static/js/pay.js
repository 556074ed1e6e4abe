// The pay page stays right while it is open: news of the bill, the end of its time, a lost line.

import { announce } from "/static/js/app.js";
import { listen } from "/static/js/live.js";

const SERVER_CLOCK_SLACK_MS = 1500; // the phone's clock may be a moment ahead of the hub's
const page = document.getElementById("pay");
let isAsking = false;
let isAskedAgain = false;

/** Ask the hub how the bill stands and show it; questions during a question are one more. */
async function refresh() {
  if (isAsking) {
    isAskedAgain = true;
    return;
  }
  isAsking = true;
  try {
    const answer = await fetch(page.dataset.stateAt, { headers: { Accept: "text/html" } });
    if (answer.ok) show(await answer.text());
  } catch {
    // no network: the line says so when it is back, and asks again
  } finally {
    isAsking = false;
    if (isAskedAgain) {
      isAskedAgain = false;
      refresh();
    }
  }
}

function show(html) {
  const before = state();
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  page.replaceChildren(fresh.content);
  const now = page.querySelector("[data-pay-state]");
  if (state() === before) return;
  announce(now.dataset.say);
  scrollTo({ top: 0 });
  if (state() === "paid") navigator.vibrate?.(200);
}

function state() {
  return page.querySelector("[data-pay-state]")?.dataset.payState;
}

const NEWS = ["paid", "part_paid", "over_paid", "credited_again", "cancelled"];
const handlers = Object.fromEntries(NEWS.map((name) => [`bill.${name}`, refresh]));
let wasLost = false;
listen(page.dataset.eventsAt, { ...handlers, reload: refresh }, {
  onSignal: (isLive) => {
    if (isLive && wasLost) refresh();
    wasLost = !isLive;
  },
});
document.addEventListener("phopay:expired", () => setTimeout(refresh, SERVER_CLOCK_SLACK_MS));
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") refresh(); // back from the bank's app
});

const share = document.querySelector("[data-share]");
share.hidden = false;
share.addEventListener("click", async () => {
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
