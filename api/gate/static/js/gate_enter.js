// A vehicle comes in: plate and class on big keys, and the outcome in a strip that a glance reads.

import { canPayAhead, chooseAhead } from "/static/js/gate_ahead.js";
import { takePhoto } from "/static/js/gate_camera.js";
import { buzz } from "/static/js/gate_feel.js";
import { newId } from "/static/js/gate_hub.js";
import { numberOf, Tickets } from "/static/js/gate_ticket.js";
import { compactPlate, drawPlate, iconOf, vnd } from "/static/js/gate_words.js";

const RECENT_MAX = 12;
const RECENT_SHOWN = 3;
const SHOWN_CHARS = 7;
const QUICK_MS = 3000; // while the live line is down an answer is not waited for long
const OWN_MAX = 50; // entries of this phone, so that news of them is none
const OUTCOME_MS = 10_000; // as long as an entry can be undone

export class Entering {
  #own = [];
  #id = newId(); // of the stay that the next press opens: pressed twice, it opens one
  #timer = null;

  constructor(gate) {
    this.gate = gate;
    this.form = gate.screens.of("enter");
    this.input = this.form.elements.plate;
    this.strip = this.form.querySelector("[data-strip]");
    this.className = "motorbike";
    this.recent = [];
    this.tickets = new Tickets(gate, { input: this.input, take: () => this.#takeTicket() });
    this.isAsked = false; // for the photo that the lot requires
    this.photo = null; // { hash, link } of what was photographed for this vehicle
    this.form.addEventListener("click", (event) => this.#press(event));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const button = this.form.querySelector("[data-enter]");
      if (!button.disabled) gate.screens.once(button, () => this.enter());
    });
    this.input.addEventListener("input", () => this.draw());
    document.addEventListener("keydown", (event) => this.#typed(event));
  }

  get isTwoWheeled() {
    return /motorbike/.test(this.className);
  }

  /** Offer the classes that the lot takes. */
  useLot() {
    const names = this.gate.lot.classes.map(({ name }) => name);
    const first = ["motorbike", "car"].filter((name) => names.includes(name));
    this.classes = [...first, ...names.filter((name) => !first.includes(name))];
    this.className = this.classes[0];
    this.form.querySelector("[data-more-classes]").hidden = this.classes.length <= 2;
    this.form.querySelector("[data-no-more-classes]").hidden = this.classes.length > 2;
    this.form.dataset.crowd = this.gate.lot.is_crowd_mode ? "yes" : "no";
    this.draw();
    this.showRecent();
  }

  draw() {
    const compact = compactPlate(this.input.value);
    const written = drawPlate(compact, this.isTwoWheeled);
    if (this.input.value !== written) this.input.value = written;
    const { number } = this.tickets;
    const isEmpty = !compact && !number;
    this.form.querySelector("[data-enter]").disabled = isEmpty;
    if (!isEmpty) this.#offerLane([]);
    const ticket = this.form.querySelector("[data-ticket]");
    ticket.setAttribute("aria-pressed", String(Boolean(number)));
    ticket.lastElementChild.textContent = shorten(number) || ticket.dataset.word;
    const photo = this.form.querySelector("[data-photo]");
    photo.setAttribute("aria-pressed", String(Boolean(this.photo)));
    photo.querySelector("[data-photo-word]").textContent = this.photo ? photo.dataset.doneWord : photo.dataset.word;
    const shown = this.classes.slice(0, 2);
    if (!shown.includes(this.className)) shown[1] = this.className; // picked among the others
    for (const key of this.form.querySelectorAll("[data-class-at]")) {
      const name = shown[Number(key.dataset.classAt)];
      key.hidden = !name;
      if (!name) continue;
      key.dataset.class = name;
      key.setAttribute("aria-pressed", String(name === this.className));
      const word = document.createElement("span");
      word.textContent = this.gate.className(name);
      key.replaceChildren(this.gate.screens.icon(iconOf(name)), word);
    }
  }

  /** Whether a stay was opened, or is about to be, by this phone. */
  isOwn(sessionId) {
    return sessionId === this.#id || this.#own.includes(sessionId);
  }

  /** What is about to be sent; a field that is empty is left out. */
  #request() {
    const plate = compactPlate(this.input.value);
    return {
      id: this.#id,
      vehicle_class: this.className,
      ...(plate && { plate }),
      ...this.tickets.facts,
      ...(this.photo?.hash && { photo: this.photo.hash }),
    };
  }

  /** Let the vehicle in, or say why not. */
  async enter(more = {}, { mayRepeat = false } = {}) {
    const { gate } = this;
    if (gate.lot.photo_required && !this.photo && !this.isAsked) {
      this.isAsked = true; // who has no camera lets the vehicle in all the same
      await this.#takePhoto();
    }
    const sent = { ...this.#request(), ...more };
    const path = `/v1/lots/${gate.lot.id}/entries`;
    const options = { withinMs: gate.isLive ? undefined : QUICK_MS };
    const instead = gate.queue.isReady ? { no_network: () => this.#keep(sent, mayRepeat) } : {};
    const answer = await gate.attempt(() => gate.hub.post(path, sent, options), { instead });
    if (!answer) return;
    gate.noteCount(sent.vehicle_class, answer.inside_count, answer.capacity);
    if (answer.verdict === "taken") this.#id = newId();
    this.showOutcome(sent, answer);
    const isIn = answer.verdict === "opened" || answer.verdict === "repeat";
    if (!isIn) return;
    const lanes = gate.lanes.actions("in", sent, "main");
    await this.#attachKept(sent);
    if (sent.plate) this.#remember(sent.plate, sent.vehicle_class);
    gate.offline.remember({ ...sent, plate: this.#written(sent) || null, ticket: numberOf(sent) ?? null, entered_at: answer.entered_at, is_pass: Boolean(answer.pass_id), pass_id: answer.pass_id });
    this.clear();
    this.#offerLane(lanes);
    if (canPayAhead(gate, answer)) chooseAhead(gate, sent);
    if (gate.lot.payment_timing === "payOnEntry" && !answer.pass_id) await this.#askForMoney(sent, await gate.stays.read(sent.id));
    if (sent.plate && !answer.is_watched && !gate.lot.is_crowd_mode) await this.#tellDebt(sent);
  }

  /** The vehicle left owing at an earlier visit: where it stands now, that is collected, too. */
  async #tellDebt(sent) {
    const { gate } = this;
    const owedVnd = await gate.stays.debts.ask(sent.id);
    if (!owedVnd || this.#own[0] !== sent.id) return;
    buzz("unpaid");
    this.#fillStrip({ tone: "attention", icon: "warning" }, gate.say("entered.debt", { amount: vnd(owedVnd) }), sent, [
      { words: gate.say("debt.see"), icon: "cash", name: "debt", run: () => gate.stays.open(sent.id) },
    ]);
  }

  /** Without a network the vehicle is in all the same: the phone keeps it, signed, and says so. */
  async #keep(sent, mayRepeat) {
    const { gate } = this;
    const inside = mayRepeat ? null : await gate.offline.findInside(sent);
    if (inside) return this.#showInside(sent, inside);
    const { pass, about } = await gate.offline.enter(sent, this.#written(sent));
    await this.#attachKept(sent);
    const isFree = pass && !pass.isInUse;
    buzz(isFree ? "pass" : pass ? "attention" : "opened");
    const words = [about, gate.say("entered.kept")].filter(Boolean).join(". ");
    this.#fillStrip({ tone: "kept", icon: isFree ? "ticket" : "unsent" }, words, sent, []);
    if (sent.plate) this.#remember(sent.plate, sent.vehicle_class);
    this.clear();
    if (gate.lot.payment_timing === "payOnEntry") await this.#askForMoney(sent, await gate.offline.read(sent.id));
    return null;
  }

  /** By what this phone knows the vehicle never left; somebody who sees it may know better. */
  #showInside(sent, { id, entered_at: enteredAt }) {
    const { gate } = this;
    buzz("attention");
    this.#fillStrip({ tone: "attention", icon: "warning" }, gate.say("offline.inside", { at: gate.say.at(enteredAt) }), sent, [
      { words: gate.say("see"), icon: "search", name: "see", run: () => gate.stays.open(id) },
      { words: gate.say("offline.anyway"), icon: "enter", name: "anyway", run: () => this.enter({}, { mayRepeat: true }) },
    ]);
    return null;
  }

  /** The barrier stands where the vehicle was let in, until the next one is typed. */
  #offerLane(actions) {
    this.form.querySelector("[data-action=lane]")?.remove();
    const enter = this.form.querySelector("[data-enter]");
    enter.hidden = actions.length > 0;
    if (actions.length) enter.after(this.gate.screens.button(actions[0]));
  }

  /** A photo that the phone keeps is this stay's, and sent when there is a network. */
  async #attachKept(sent) {
    if (!this.photo?.id) return;
    const facts = { session_id: sent.id, direction: "in", shown: this.#written(sent) || numberOf(sent) };
    await this.gate.photos.attach(this.photo.id, facts);
  }

  #written({ plate, vehicle_class: name }) {
    return drawPlate(plate ?? "", /motorbike/.test(name));
  }

  /** Where the price is paid on the way in, its cash is one tap; also without a network. */
  async #askForMoney(sent, stay) {
    const { gate } = this;
    if (!stay?.due_vnd) return;
    const amount = vnd(stay.due_vnd);
    const cash = async () => {
      const taken = stay.is_offline ? await gate.offline.takeCash(stay) : await gate.stays.collect(stay, "cash");
      if (!taken) return;
      buzz("paid");
      const said = stay.is_offline
        ? [{ tone: "kept", icon: "check" }, gate.say("offline.cash", { amount })]
        : [{ tone: "good", icon: "check" }, gate.say("entered.cash", { amount, number: taken.receipt_number ?? "" })];
      this.#fillStrip(...said, sent, []);
    };
    const due = gate.say(stay.is_offline ? "offline.due" : "entered.due", { amount });
    this.#fillStrip({ tone: "attention", icon: "cash" }, due, sent, [
      { words: gate.say("pay.cash"), icon: "cash", name: "cash", run: cash },
      { words: gate.say("pay.qr"), icon: "qr", name: "qr", run: () => gate.stays.open(stay.id) },
    ]);
  }

  /** Take an entry back that was a slip: the vehicle is on the keys again. */
  async #undo(sent) {
    const { gate } = this;
    const back = await gate.attempt(() => gate.hub.post(`/v1/parking-sessions/${sent.id}/entry/undo`));
    if (!back) return;
    this.className = sent.vehicle_class;
    this.tickets.set(sent);
    this.input.value = sent.plate ?? "";
    this.draw();
    this.#fillStrip({ tone: "plain", icon: "replay" }, gate.say("undone"), sent, []);
    gate.readCount();
  }

  clear() {
    this.#own = [this.#id, ...this.#own].slice(0, OWN_MAX);
    this.#id = newId();
    this.input.value = "";
    this.tickets.clear();
    this.photo = null;
    this.isAsked = false;
    this.#showKeys("digits");
    this.draw();
  }

  /** Say what became of an entry: colour, sign, word, plate, and what may be done about it. */
  showOutcome(sent, answer) {
    const { say } = this.gate;
    const outcome = outcomeOf(answer, { isPhotoKept: Boolean(this.photo?.id) });
    buzz(outcome.buzz);
    const values = {
      at: answer.entered_at ? say.at(answer.entered_at) : "",
      class: this.gate.className(sent.vehicle_class),
    };
    const actions = [];
    if (answer.verdict === "already_inside") {
      actions.push({ words: say("see"), icon: "search", run: () => this.gate.stays.open(answer.session_id) });
    }
    if (answer.verdict === "full" && this.gate.state.person.may_override) {
      const run = () =>
        this.gate.screens.ask(say("entered.why_full"), {
          send: say("entered.override"), icon: "enter", run: (reason) => this.enter({ override_reason: reason }),
        });
      actions.push({ words: say("entered.override"), icon: "enter", run });
    }
    if (answer.verdict === "opened") {
      const words = say("undo", { seconds: OUTCOME_MS / 1000 });
      actions.push({ words, icon: "replay", name: "undo", run: () => this.#undo(sent) });
    }
    this.#fillStrip(outcome, say(`entered.${outcome.words}`, values), sent, actions);
  }

  #fillStrip({ tone, icon }, words, sent, actions) {
    clearInterval(this.#timer);
    this.strip.dataset.tone = tone;
    const text = document.createElement("p");
    const plate = document.createElement("strong");
    plate.className = "plate";
    plate.translate = false;
    plate.textContent = [this.#written(sent), this.tickets.write(sent)].filter(Boolean).join(" · ");
    text.append(plate, words);
    this.strip.replaceChildren(
      this.gate.screens.icon(icon), text, ...actions.map((one) => this.gate.screens.button(one)),
    );
    if (tone !== "good" && tone !== "kept") return;
    const undo = this.strip.querySelector("[data-action=undo]");
    let seconds = OUTCOME_MS / 1000;
    this.#timer = setInterval(() => {
      seconds -= 1;
      if (undo) undo.lastElementChild.textContent = this.gate.say("undo", { seconds });
      if (seconds <= 0) this.showRecent();
    }, 1000);
  }

  /** The plates of the last minutes: a wrong one is tapped and corrected, a guest comes again. */
  showRecent() {
    clearInterval(this.#timer);
    this.strip.dataset.tone = "";
    const buttons = this.recent.slice(0, RECENT_SHOWN).map(({ plate, className }) => {
      const written = drawPlate(plate, /motorbike/.test(className));
      const run = () => {
        this.className = className;
        this.input.value = plate;
        this.draw();
      };
      return this.gate.screens.button({ words: written, icon: iconOf(className), run });
    });
    if (buttons.length) return this.strip.replaceChildren(...buttons);
    const hint = document.createElement("p");
    hint.textContent = this.gate.say("entered.hint");
    return this.strip.replaceChildren(hint);
  }

  /** In a crowd a ticket's number is all that is needed, and the vehicle is in. */
  #takeTicket() {
    this.draw();
    if (this.gate.lot.is_crowd_mode) this.form.requestSubmit();
  }

  async #takePhoto() {
    const photo = await takePhoto(this.gate);
    if (!photo) return;
    this.photo = photo;
    this.draw();
  }

  #remember(plate, className) {
    const others = this.recent.filter((one) => one.plate !== plate);
    this.recent = [{ plate, className }, ...others].slice(0, RECENT_MAX);
  }

  #press(event) {
    const key = event.target.closest("[data-key]")?.dataset.key;
    if (key) this.press(key);
    const name = event.target.closest("[data-class-at]")?.dataset.class;
    if (name) {
      this.className = name;
      this.draw();
    }
    if (event.target.closest("[data-more-classes]")) this.#chooseClass();
    if (event.target.closest("[data-ticket]")) this.tickets.ask();
    if (event.target.closest("[data-photo]")) this.#takePhoto();
  }

  /** Take a key. After the province's two digits letters follow, and after the series digits. */
  press(key) {
    if (key === "letters" || key === "digits") return this.#showKeys(key);
    if (key === "keyboard") {
      this.input.inputMode = "text";
      this.input.focus();
      return undefined;
    }
    const before = compactPlate(this.input.value);
    const compact = key === "back" ? before.slice(0, -1) : before + key;
    this.input.value = compact;
    this.draw();
    const expectsLetter = /^\d\d$/.test(compact);
    return this.#showKeys(expectsLetter ? "letters" : "digits");
  }

  #typed(event) {
    if (this.gate.screens.name !== "enter" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, dialog")) return;
    if (event.key === "Enter" && event.target.closest("button")) return; // it presses itself
    if (event.key === "Enter") this.form.requestSubmit();
    else if (event.key === "Backspace") this.press("back");
    else if (/^[0-9a-zđ]$/i.test(event.key)) this.press(event.key.toUpperCase());
  }

  #showKeys(which) {
    for (const keys of this.form.querySelectorAll("[data-keys]")) keys.hidden = keys.dataset.keys !== which;
    this.form.dataset.keysShown = which;
    if (which === "letters") this.#offerLane([]); // they need the room
    this.input.inputMode = "none";
  }

  /** The other classes; and by hand, which has no key of its own where they need one. */
  #chooseClass() {
    const { gate } = this;
    const classes = this.classes.map((name) => ({
      words: gate.className(name),
      icon: iconOf(name),
      run: () => {
        this.className = name;
        this.draw();
      },
    }));
    const byHand = { words: gate.say("manual.open"), icon: "key", name: "by_hand", run: () => gate.manualOpening.begin("in") };
    gate.screens.openSheet(gate.say("class_title"), [...classes, ...(gate.queue.isReady ? [byHand] : [])]);
  }
}

/** A number as it fits on a key: long ones differ at their end. */
function shorten(number) {
  return number.length > SHOWN_CHARS ? `…${number.slice(1 - SHOWN_CHARS)}` : number;
}

/** Tone, sign, words and buzz of an entry's answer. */
export function outcomeOf(answer, { isPhotoKept = false } = {}) {
  if (answer.verdict === "already_inside") return { tone: "attention", icon: "warning", words: "already_inside", buzz: "attention" };
  if (answer.verdict === "full") return { tone: "bad", icon: "stop", words: "full", buzz: "unpaid" };
  if (answer.verdict === "taken") return { tone: "attention", icon: "warning", words: "taken", buzz: "attention" };
  if (answer.is_watched) return { tone: "attention", icon: "warning", words: "watched", buzz: "attention" };
  if (answer.is_pass_in_use) return { tone: "attention", icon: "warning", words: "pass_in_use", buzz: "attention" };
  if (answer.is_photo_missing && !isPhotoKept) return { tone: "attention", icon: "camera", words: "no_photo", buzz: "attention" };
  if (answer.pass_id) return { tone: "good", icon: "ticket", words: "pass", buzz: "pass" };
  return { tone: "good", icon: "check", words: "opened", buzz: "opened" };
}
