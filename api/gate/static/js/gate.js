// The attendant's phone: who holds it, their lot and shift, and which part does what.

import { Entering } from "/static/js/gate_enter.js";
import { buzz, keepAwake } from "/static/js/gate_feel.js";
import { Finding } from "/static/js/gate_find.js";
import { Hub, NoAnswer, Refused } from "/static/js/gate_hub.js";
import { Lanes } from "/static/js/gate_lane.js";
import { ManualOpening } from "/static/js/gate_manual_open.js";
import { Offline } from "/static/js/gate_offline.js";
import { Passes } from "/static/js/gate_passes.js";
import { People } from "/static/js/gate_people.js";
import { Photos } from "/static/js/gate_photos.js";
import { Queue } from "/static/js/gate_queue.js";
import { References } from "/static/js/gate_references.js";
import { followReleases } from "/static/js/gate_release.js";
import { Screens } from "/static/js/gate_screens.js";
import { Shifts } from "/static/js/gate_shift.js";
import { Stays } from "/static/js/gate_stay.js";
import { figures, iconOf, makeWords } from "/static/js/gate_words.js";
import { listen } from "/static/js/live.js";

const COUNT_EVERY_MS = 30_000;
const COUNT_AFTER_MS = 300;
const OTHERS_AFTER_MS = 3000;
const KEEP_EVERY_MS = 300_000; // what is kept for the time without a network

document.documentElement.dataset.script = "yes";
const root = document.getElementById("gate");

/** What the parts of the page share. */
class Gate {
  constructor() {
    this.state = JSON.parse(root.dataset.state);
    this.say = makeWords(JSON.parse(root.dataset.words));
    this.hub = new Hub(this.state.suffix);
    this.screens = new Screens(root);
    this.lot = null;
    this.shift = this.state.shift;
    this.isLive = false;
    this.hangUp = () => {};
    this.countTimer = null;
    this.othersTimer = null;
  }

  /**
   * Do something that calls the hub; what went wrong is said, and null returned.
   * @param {() => Promise<any>} work
   * @param {{quiet?: boolean, instead?: Record<string, () => void>}} [options] instead: by the
   *   error's code, what is done where it would be said
   */
  async attempt(work, { quiet = false, instead = {} } = {}) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Refused || error instanceof NoAnswer)) throw error;
      const code = error instanceof NoAnswer ? "no_network" : error.code;
      if (instead[code]) return instead[code]();
      if (!quiet) this.screens.complain(this.say.problem(code));
      return null;
    }
  }

  className(name) {
    return this.say(`class.${name}`);
  }

  /** Work at a lot: its name, its count, its live events. */
  workAt(lotId) {
    this.lot = this.state.lots.find((lot) => lot.id === lotId) ?? null;
    if (!this.lot) return;
    document.querySelector("[data-lot-name]").textContent = this.lot.name;
    this.showCount();
    this.hangUp();
    const address = this.hub.address(`/gate/lots/${this.lot.id}/events`);
    const toStays = (data) => {
      this.references.look();
      return this.stays.receivePaid(data);
    };
    const handlers = {
      "parking.session_paid": toStays,
      "parking.entered": (data, event, isReplay) => isReplay || this.receiveEntered(data),
      "parking.left": (data, event, isReplay) => {
        this.offline.forget(data.session_id); // it went out, here or past another phone
        if (!isReplay) this.readCountSoon();
      },
      "parking.watched": (data, event, isReplay) => isReplay || this.receiveWatched(data),
      "signed-out": () => location.assign("/login?next=/gate"),
      reload: () => location.reload(),
    };
    this.hangUp = listen(address, handlers, { onSignal: (isLive) => this.showSignal(isLive) });
    this.entering.useLot();
    this.queue.begin().then(() => {
      this.manualOpening.show();
      return Promise.all([this.offline.refresh(), this.references.refresh()]);
    });
  }

  showSignal(isLive) {
    const signal = document.getElementById("signal");
    signal.dataset.live = isLive ? "yes" : "no";
    signal.querySelector(".signal-word").textContent = isLive ? signal.dataset.liveWord : signal.dataset.lostWord;
    const isBack = isLive && !this.isLive; // also of a page that was opened without a network
    this.isLive = isLive;
    if (!isLive) return;
    if (isBack) this.offline.refresh();
    this.queue.noteClock();
    this.queue.flush();
    this.stays.lookAgain();
    this.references.refresh();
    this.people.lookAgain();
  }

  /** Let the worker keep the page as it is now: opened without a network, it knows the shift. */
  async keepPage() {
    await this.people.note();
    const registration = await navigator.serviceWorker?.ready;
    registration?.active?.postMessage("keep-page");
  }

  /** Let the worker serve this page, also when the page came while the worker began its work. */
  async useWorker() {
    const { serviceWorker } = navigator;
    if (!serviceWorker) return;
    const options = { scope: "/gate", type: "module", updateViaCache: "none" };
    serviceWorker.register("/gate/worker.js", options).catch(() => {});
    const { active } = await serviceWorker.ready;
    if (!serviceWorker.controller) active.postMessage("take-over");
  }

  /** How full the lot is, class by class, as the hub last said. */
  showCount() {
    const texts = this.lot.classes.slice(0, 2).map(({ name, inside, capacity }) => {
      const part = document.createElement("span");
      part.append(this.screens.icon(iconOf(name)), ` ${this.say("count", { inside, capacity })}`);
      part.dataset.full = inside >= capacity ? "yes" : "no";
      return part;
    });
    document.querySelector("[data-count]").replaceChildren(...texts);
  }

  noteCount(className, inside, capacity) {
    const one = this.lot.classes.find(({ name }) => name === className);
    if (!one || inside === null) return;
    Object.assign(one, { inside, capacity: capacity ?? one.capacity });
    this.showCount();
  }

  /** A vehicle came in, here or on another phone of the lot: the count, and who is known inside. */
  receiveEntered({ session_id: sessionId, vehicle_class: className, inside_count: inside }) {
    this.noteCount(className, inside, null);
    if (this.entering.isOwn(sessionId)) return;
    // In a crowd one look is for all who came meanwhile; it is not put off by those who come yet.
    this.othersTimer ??= setTimeout(() => {
      this.othersTimer = null;
      this.offline.refresh();
    }, OTHERS_AFTER_MS);
  }

  /** A vehicle that is watched came in: whoever stands at this lot is to know. */
  receiveWatched({ session_id: sessionId, plate, vehicle_class: className }) {
    if (this.entering.isOwn(sessionId)) return; // its own strip says so
    buzz("attention");
    this.screens.complain(this.say("watched_here", { plate: plate ?? "", class: this.className(className) }));
  }

  readCountSoon() {
    this.countTimer ??= setTimeout(() => {
      this.countTimer = null;
      this.readCount();
    }, COUNT_AFTER_MS);
  }

  async readCount() {
    if (!this.lot || document.hidden) return;
    const found = await this.attempt(() => this.hub.get(`/v1/lots/${this.lot.id}/occupancy`), { quiet: true });
    if (found) this.queue.flush();
    for (const one of found?.classes ?? []) this.noteCount(one.vehicle_class, one.inside_count, one.capacity);
  }
}

const gate = new Gate();
globalThis.gate = gate; // for a look from the console
gate.queue = new Queue(gate);
gate.photos = new Photos(gate);
gate.passes = new Passes(gate);
gate.offline = new Offline(gate);
gate.references = new References(gate);
gate.entering = new Entering(gate);
gate.stays = new Stays(gate);
gate.finding = new Finding(gate);
gate.lanes = new Lanes(gate);
gate.manualOpening = new ManualOpening(gate);
gate.shifts = new Shifts(gate);
gate.people = new People(gate);

root.addEventListener("click", (event) => {
  const name = event.target.closest(".gate-tabs [data-go]")?.dataset.go;
  if (!name) return;
  if (name !== "shift" && !gate.shift) gate.screens.show("open");
  else if (name === "shift") gate.shifts.open();
  else gate.screens.show(name);
});
root.addEventListener("input", ({ target }) => {
  if (!target.matches("[data-grouped]")) return;
  const digits = target.value.replace(/\D/g, "").replace(/^0+(?=\d)/, "");
  target.value = figures(digits);
});
setInterval(() => gate.readCount(), COUNT_EVERY_MS);
setInterval(() => gate.lot && gate.isLive && gate.offline.refresh(), KEEP_EVERY_MS);
root.addEventListener("submit", ({ target }) => {
  if (!target.matches("[data-sign-out]")) return;
  // The next person's page is not theirs.
  navigator.serviceWorker?.controller?.postMessage("forget-page");
  gate.people.forget();
});
followReleases(gate);
gate.useWorker();
// A tap on a tab before the first screen is shown would be lost.
const tabs = root.querySelector(".gate-tabs");
tabs.inert = true;
gate.people
  .begin()
  .finally(() => gate.shifts.begin())
  .finally(() => gate.lot ?? gate.queue.begin()) // what waits is sent without a shift, too
  .finally(() => {
    tabs.inert = false;
  });
keepAwake();
