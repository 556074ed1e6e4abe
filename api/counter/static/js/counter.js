// The vendor's counter: one page whose screens change under a voice and a live line that go on.

import { bindKeypad } from "/static/js/counter_keypad.js";
import { News } from "/static/js/counter_news.js";
import { Stage } from "/static/js/counter_stage.js";
import { listen } from "/static/js/live.js";
import { Speaker } from "/static/js/sound.js";
import { bindControls } from "/static/js/sound_controls.js";

const MONEY = [
  "bill.paid",
  "bill.part_paid",
  "bill.over_paid",
  "bill.credited_again",
  "counter_sale.received",
  "credit.unassigned",
  "credit.unexplained",
];
const SPEAK_OFFLINE_AFTER_MS = 10_000; // a hub that restarts is back sooner

document.documentElement.dataset.script = "yes";
const counter = document.getElementById("counter");
const speaker = new Speaker();
const stage = new Stage(counter);
const news = new News(counter, { speaker, stage });
globalThis.speaker = speaker; // for a look from the console, and for tests

bindControls(speaker);
bindKeypad(stage, {
  // The amount is read back once, when its code appears.
  onCode: (amountVnd) => {
    if (speaker.state === "ready") speaker.announce({ kind: "amount", amountVnd });
  },
});

document.addEventListener("click", (event) => {
  const paper = event.target.closest("button[data-paper]")?.dataset.paper;
  if (!paper) return;
  document.body.dataset.paper = paper;
  print();
});

const signal = document.getElementById("signal");
let lostAt = null; // when something last came on the line, by the hub's clock
let offlineTimer = null;
let wasOfflineSpoken = false;

function showSignal(isLive, receivedAt) {
  signal.dataset.live = isLive ? "yes" : "no";
  signal.querySelector(".signal-word").textContent = isLive ? signal.dataset.liveWord : signal.dataset.lostWord;
  if (!isLive) {
    lostAt ??= receivedAt;
    offlineTimer ??= setTimeout(() => {
      wasOfflineSpoken = true;
      speaker.announce({ kind: "offline" });
    }, SPEAK_OFFLINE_AFTER_MS);
    return;
  }
  clearTimeout(offlineTimer);
  offlineTimer = null;
  if (lostAt !== null) {
    if (wasOfflineSpoken) speaker.announce({ kind: "online" });
    wasOfflineSpoken = false;
    news.cameBack(lostAt);
    stage.refresh(); // what this screen shows may have changed meanwhile
  }
  lostAt = null;
}

const handlers = {
  "bill.cancelled": (...args) => news.receiveCancelled(...args),
  "bill.code_changed": (data, event, isReplay) => {
    if (news.isNew(event, isReplay) && stage.isUnderWay) stage.refresh();
  },
  "bill.cash_taken_back": (...args) => news.receiveTakenBack(...args),
  "bill.payment_taken_back": (...args) => news.receiveTakenBack(...args),
  "credit.corrected": (...args) => news.receiveCorrected(...args),
  "account.changed": (data, event, isReplay) => news.isNew(event, isReplay) && moveAccount(),
  reload: () => {
    hangUp(); // what comes after it would be kept, and gone on with
    news.forget(); // going on from the same event, the hub would say the same again
    location.reload();
  },
  "signed-out": () => location.assign("/login"),
};
for (const name of MONEY) handlers[name] = (...args) => news.receiveMoney(...args);
// While a code is under way the screen asks by itself, too: news may have come before it listened.
const UNDER_WAY_MS = 3000;
setInterval(() => stage.isUnderWay && stage.refresh(), UNDER_WAY_MS);
const tooMany = document.getElementById("too-many");
const listening = {
  onSignal: showSignal,
  onTick: (eventId) => news.receivedTo(eventId),
  onTooMany: (isTooMany) => (tooMany.hidden = !isTooMany),
};
let hangUp = listen(news.address(), handlers, listening);

/** The hub picks the account that a stream is about when it opens: open one for the new account. */
async function moveAccount() {
  await stage.refresh();
  hangUp();
  hangUp = listen(news.address(), handlers, listening);
}
