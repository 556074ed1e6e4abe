// What a vehicle is known by at the way in besides its plate: a numbered ticket of a book, which is
// used once, or a token, a plastic card that is used again. A keyboard-type reader types either.

import { changeFact, readFact } from "/static/js/gate_store.js";

const KINDS = ["ticket", "token"];
const FACT = "ticket_kinds"; // what each lot uses, as it was chosen on this phone last
const KEY_MS = 40; // on average, between the keys of a reader: no person types so fast
const PAUSE_MS = 150; // after which another number begins
const READ_CHARS_MIN = 4;

/** The number that an entry names, of a ticket or a token. */
export const numberOf = ({ ticket, token }) => ticket ?? token;

export class Tickets {
  #chosen = {}; // kind by lot
  #read = null; // what a reader may be typing: {at, began, chars, before}

  constructor(gate, { input, take }) {
    this.gate = gate;
    this.input = input; // of the plate, where a reader's keys land too
    this.take = take;
    this.clear();
    readFact(FACT)
      .then((kept) => Object.assign(this.#chosen, kept))
      .catch(() => {}); // no IndexedDB: it is chosen anew after each load
    document.addEventListener("keydown", (event) => this.#listen(event), { capture: true });
  }

  /** "Vé A-0042", "Thẻ 0012345678", or nothing. */
  write({ ticket, token }) {
    const kind = ticket ? "ticket" : token ? "token" : "";
    return kind && this.gate.say(`ticket.of_${kind}`, { number: ticket ?? token });
  }

  /** As an entry sends it. */
  get facts() {
    return this.number ? { [this.kind]: this.number } : {};
  }

  set({ ticket, token }) {
    this.number = ticket ?? token ?? "";
    this.kind = token ? "token" : "ticket";
  }

  clear() {
    this.set({});
  }

  /** Ask for a number; what kind it is stays chosen for the next one. */
  ask() {
    const { say, screens, lot } = this.gate;
    screens.openSheet(say("ticket.title"), [], (body) => {
      const form = document.createElement("form");
      form.className = "gate-ask";
      const kinds = document.createElement("div");
      kinds.className = "gate-kinds";
      kinds.setAttribute("role", "radiogroup");
      kinds.setAttribute("aria-label", say("ticket.kind"));
      const usual = this.#chosen[lot.id] ?? "ticket";
      kinds.append(...KINDS.map((kind) => this.#choice(kind, kind === usual)));
      const input = Object.assign(document.createElement("input"), {
        className: "gate-input", name: "said", value: this.number, autocomplete: "off", maxLength: 40,
        required: true, placeholder: say("ticket.hint"),
      });
      input.setAttribute("aria-label", say("ticket.title"));
      const button = screens.button({ words: say("ticket.take"), icon: "ticket", look: "main", run: () => {} });
      button.type = "submit";
      form.append(kinds, input, button);
      kinds.addEventListener("change", () => input.focus());
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const number = input.value.trim();
        if (!number) return;
        screens.sheet.close();
        const kind = form.elements.kind.value;
        this.#choose(kind);
        this.#take(number, kind);
      });
      body.append(form);
      setTimeout(() => input.focus(), 0);
    });
  }

  #choice(kind, checked) {
    const label = document.createElement("label");
    label.className = "gate-choice";
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "kind", value: kind, checked });
    label.append(input, Object.assign(document.createElement("span"), { textContent: this.gate.say(`ticket.${kind}`) }));
    return label;
  }

  #choose(kind) {
    const lotId = this.gate.lot.id;
    this.#chosen[lotId] = kind;
    changeFact(FACT, (before = {}) => ({ ...before, [lotId]: kind })).catch(() => {});
  }

  #take(number, kind) {
    this.number = number.toUpperCase();
    this.kind = kind;
    this.take();
  }

  /** A reader types faster than anybody, and ends with Enter: its number is no plate. */
  #listen(event) {
    const { gate, input } = this;
    if (gate.screens.name !== "enter" || gate.screens.sheet.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") {
      const read = this.#read;
      this.#read = null;
      if (!read || event.timeStamp - read.at > PAUSE_MS || read.chars.length < READ_CHARS_MIN) return;
      if ((event.timeStamp - read.began) / read.chars.length > KEY_MS) return;
      event.preventDefault();
      event.stopPropagation();
      input.value = read.before;
      this.#take(read.chars, this.#chosen[gate.lot.id] ?? "token");
    } else if (event.key.length === 1) {
      const isNew = !this.#read || event.timeStamp - this.#read.at > PAUSE_MS;
      if (isNew) this.#read = { began: event.timeStamp, chars: "", before: input.value };
      this.#read.chars += event.key;
      this.#read.at = event.timeStamp;
    } else if (event.key !== "Shift") {
      this.#read = null;
    }
  }
}
