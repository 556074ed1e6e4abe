// What the bank confirmed, on the screen and aloud. The hub words and draws each verdict; here is
// decided where it goes: on its bill's screen, over the keypad, or as a strip beside a code that
// another customer may be scanning.

import { hubNow } from "/static/js/hub_clock.js";
import { STALE_AFTER_S } from "/static/js/sound.js";

const GOOD = new Set(["paid", "counter_sale", "late"]);
const SHOWN_FOR_MS = 12_000; // green goes by itself; what needs a next step stays
const STRIP_FOR_MS = 15_000;
const SEEN_MAX = 200;
const OPENING_MS = 3000; // a page is drawn a moment before its stream opens

export class News {
  #panel = document.getElementById("news");
  #strip = document.getElementById("strip");
  #missed = document.getElementById("missed");
  #seen; // event ids, the newest last
  #receivedTo; // the event id up to which everything was received, "" if nobody said
  #since; // when this device began to listen, by the hub's clock: older was never its news
  #timer = null;
  #stripTimer = null;
  #lostAt = Infinity; // when something last came before the line went, by the hub's clock

  constructor(counter, { speaker, stage }) {
    this.counter = counter;
    this.speaker = speaker;
    this.stage = stage;
    this.store = `phopay.counter.${counter.dataset.events}`;
    ({ seen: this.#seen, since: this.#since, receivedTo: this.#receivedTo } = recall(this.store));
    document.addEventListener("click", (event) => {
      const name = event.target.closest("[data-close]")?.dataset.close;
      if (name) this.close(name);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close("news");
    });
    document.addEventListener("phopay:stage", (event) => {
      if (event.detail.isForm) this.close("news");
    });
  }

  /** The stream's address; a page that was thrown away and loaded again goes on where it was. */
  address() {
    const url = new URL(this.counter.dataset.events, location.href);
    const last = [this.#receivedTo, this.#seen.at(-1) ?? ""].sort().at(-1);
    if (last) url.searchParams.set("last_event_id", last);
    return url.href;
  }

  /** False for what this device has received before, also before it loaded the page again. */
  isNew(event, isReplay) {
    const id = event.lastEventId;
    // Only what is repeated can be too old: what comes as it happens is news, whoever's clock.
    const isOlder = isReplay && timeOf(id) < this.#since - OPENING_MS;
    if (this.#seen.includes(id) || isOlder) return false;
    this.#seen.push(id);
    if (this.#seen.length > SEEN_MAX) this.#seen.shift();
    this.#keep();
    return true;
  }

  receivedTo(eventId) {
    this.#receivedTo = eventId;
    this.#keep();
  }

  /** Begin anew at the next load, as a device that was never here. */
  forget() {
    try {
      sessionStorage.removeItem(this.store);
    } catch {
      /* storage is switched off: nothing was kept */
    }
  }

  cameBack(lostAt) {
    this.#lostAt = lostAt;
  }

  receiveMoney(news, event, isReplay) {
    if (!this.isNew(event, isReplay)) return;
    this.stage.refreshToday();
    if (news.say) {
      const { say: kind, say_vnd: amountVnd, at } = news;
      this.speaker.announce({ kind, amountVnd, at, id: event.lastEventId });
    }
    const isOfStage = news.bill_id && news.bill_id === this.stage.billId;
    if (this.#isMissed(news, isReplay)) this.#addMissed(news);
    // A person took cash: the bill's own page says so, and how to take it back.
    if (isOfStage && news.is_cash) this.stage.refresh();
    else if (isOfStage) this.#showOnStage(news);
    else if (this.#isOld(news)) return this.#refreshList();
    else if (this.stage.showsCode) this.#showStrip(news);
    else this.#showPanel(news);
    this.#refreshList();
  }

  receiveCancelled(data, event, isReplay) {
    if (!this.isNew(event, isReplay)) return;
    if (this.stage.billId && this.stage.showsCode) this.stage.refresh();
  }

  /** Cash recorded by mistake, or a payment that was corrected: its bill owes it again. */
  receiveTakenBack(data, event, isReplay) {
    if (!this.isNew(event, isReplay)) return;
    this.stage.refreshToday();
    if (this.stage.billId === data.bill_id) this.stage.refresh();
    this.#refreshList();
  }

  /** Somebody said whose a payment is: the question about it is over on every device. */
  receiveCorrected(data, event, isReplay) {
    if (!this.isNew(event, isReplay)) return;
    const open = this.#panel.querySelector("[data-credit-id]");
    if (open?.dataset.creditId === data.credit_id) this.close("news");
    this.stage.refreshToday();
    this.#refreshList();
  }

  close(name) {
    if (name === "missed") {
      this.#missed.hidden = true;
      this.#missed.querySelector("ul").replaceChildren();
      return;
    }
    clearTimeout(this.#timer);
    this.#panel.hidden = true;
    this.#panel.replaceChildren();
  }

  #keep() {
    keep(this.store, { seen: this.#seen, since: this.#since, receivedTo: this.#receivedTo });
  }

  #isOld(news) {
    return hubNow() - Date.parse(news.at) > STALE_AFTER_S * 1000;
  }

  /** Whether a payment happened while the line was down, or long before it came here. */
  #isMissed(news, isReplay) {
    return this.#isOld(news) || (isReplay && Date.parse(news.at) >= this.#lostAt - 1000);
  }

  #addMissed(news) {
    const list = this.#missed.querySelector("ul");
    const line = document.createElement("li");
    line.textContent = news.line;
    list.prepend(line);
    const count = list.children.length;
    const title = this.#missed.querySelector("h2");
    title.textContent =
      count === 1 ? title.dataset.one : title.dataset.many.replace("99", String(count));
    this.#missed.hidden = false;
  }

  #showOnStage(news) {
    const html = new DOMParser().parseFromString(news.html, "text/html");
    const path = html.querySelector("[data-verdict]").dataset.path;
    this.close("news");
    this.stage.place(news.html, path);
    // The code for the rest is on the bill's own page.
    if (news.status === "part_paid") this.stage.show(location.href, { push: false, isQuiet: true });
    else this.stage.element.querySelector("a[data-stage]")?.focus({ preventScroll: true });
  }

  #showPanel(news) {
    clearTimeout(this.#timer);
    this.#panel.innerHTML = news.html;
    this.#panel.hidden = false;
    if (GOOD.has(news.status) && !this.#panel.querySelector("form")) {
      this.#timer = setTimeout(() => this.close("news"), SHOWN_FOR_MS);
    }
  }

  #showStrip(news) {
    clearTimeout(this.#stripTimer);
    const html = new DOMParser().parseFromString(news.html, "text/html");
    const word = html.querySelector(".verdict-word").textContent;
    this.#strip.textContent = `${word}: ${news.line}`;
    this.#strip.dataset.tone = html.querySelector(".verdict").dataset.tone;
    this.#strip.hidden = false;
    this.#stripTimer = setTimeout(() => (this.#strip.hidden = true), STRIP_FOR_MS);
  }

  #refreshList() {
    if (this.stage.isSalesList) this.stage.refresh();
  }
}

/** When an event was written: its id is a UUIDv7, whose first 48 bits are milliseconds. */
function timeOf(id) {
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}

function recall(name) {
  const fresh = { seen: [], since: hubNow(), receivedTo: "" };
  try {
    return { ...fresh, ...JSON.parse(sessionStorage.getItem(name)) };
  } catch {
    return fresh;
  }
}

function keep(name, what) {
  try {
    sessionStorage.setItem(name, JSON.stringify(what));
  } catch {
    /* storage is switched off: remembered as long as the page */
  }
}
