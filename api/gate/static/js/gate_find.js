// A vehicle is found by the last three digits of its plate, by its whole plate or by its ticket.

import { takePhoto } from "/static/js/gate_camera.js";
import { compactPlate, iconOf } from "/static/js/gate_words.js";

const DIGITS_MIN = 3;

export class Finding {
  #turn = 0; // of two answers only the newest is shown

  constructor(gate) {
    this.gate = gate;
    this.screen = gate.screens.of("find");
    this.input = this.screen.querySelector("#find");
    this.results = this.screen.querySelector("[data-results]");
    this.said = this.screen.querySelector("[data-find-said]");
    this.keys = this.screen.querySelector("[data-keys=find]");
    this.camera = this.screen.querySelector("[data-find-photo]");
    this.photo = null; // of the vehicle that is looked for
    this.camera.addEventListener("click", () => gate.screens.once(this.camera, () => this.#shoot()));
    this.screen.addEventListener("click", (event) => {
      const key = event.target.closest("[data-find-key]")?.dataset.findKey;
      if (key) this.press(key);
    });
    this.input.addEventListener("input", () => this.changed());
    document.addEventListener("keydown", (event) => this.#typed(event));
    document.addEventListener("gate:screen", ({ detail }) => detail.name === "find" && this.clear());
  }

  clear() {
    this.input.value = "";
    this.input.inputMode = "none";
    this.#hold(null);
    this.changed();
  }

  async #shoot() {
    this.#hold((await takePhoto(this.gate, this.gate.say("photo.hint"))) ?? this.photo);
  }

  #hold(photo) {
    this.photo = photo;
    this.camera.setAttribute("aria-pressed", String(photo !== null));
  }

  press(key) {
    if (key === "keyboard") {
      this.input.inputMode = "text";
      this.input.focus();
    } else if (key === "all") {
      this.search("");
    } else {
      const before = this.input.value;
      this.input.value = key === "back" ? before.slice(0, -1) : before + key;
      this.changed();
    }
  }

  changed() {
    const wanted = this.input.value.trim();
    if (compactPlate(wanted).length >= DIGITS_MIN) return this.search(wanted);
    this.#turn += 1;
    this.results.replaceChildren();
    this.keys.hidden = false;
    this.said.textContent = this.gate.say("find.more");
    return undefined;
  }

  async search(wanted) {
    const { gate } = this;
    const turn = ++this.#turn;
    const path = `/gate/lots/${gate.lot.id}/inside?q=${encodeURIComponent(wanted)}`;
    const instead = gate.queue.isReady ? { no_network: () => gate.offline.find(wanted) } : {};
    const found = await gate.attempt(() => gate.hub.get(path), { instead });
    if (turn !== this.#turn || !found) return;
    const isAlike = found.stays[0]?.found_by === "look_alike";
    const count = found.stays.length;
    const which = isAlike ? "alike" : (["none", "one"][count] ?? "many");
    this.said.textContent = gate.say(`find.${which}`, { count });
    this.results.replaceChildren(...found.stays.map((stay) => this.#row(stay)));
    this.keys.hidden = found.stays.length > 0;
  }

  #row(stay) {
    const { gate } = this;
    const row = document.getElementById("found").content.firstElementChild.cloneNode(true);
    row.dataset.stay = stay.id;
    row.querySelector("[data-plate]").textContent = stay.plate ?? stay.ticket ?? gate.say("no_plate");
    row.querySelector("[data-facts]").textContent = [gate.className(stay.vehicle_class), gate.say.since(stay.entered_at)].join(" · ");
    const photo = row.querySelector("[data-photo]");
    if (stay.photo) photo.append(Object.assign(new Image(), { src: stay.photo, alt: "" }));
    else photo.append(gate.screens.icon(iconOf(stay.vehicle_class)));
    row.addEventListener("click", () => gate.screens.once(row, () => gate.stays.open(stay.id, { seenPlate: this.#seenPlate(stay), photo: this.photo })));
    return row;
  }

  /** The plate that stands at the way out: of a look-alike it is another one than came in. */
  #seenPlate(stay) {
    const typed = compactPlate(this.input.value);
    return stay.plate && stay.found_by !== "last_digits" && /^\d\d\D/.test(typed) ? typed : "";
  }

  #typed(event) {
    if (this.gate.screens.name !== "find" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, dialog")) return;
    if (event.key === "Backspace") this.press("back");
    else if (/^[0-9a-zđ]$/i.test(event.key)) this.press(event.key.toUpperCase());
  }
}
