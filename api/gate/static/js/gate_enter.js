// A vehicle comes in: plate and class on big keys, and the outcome in a strip that a glance reads.

import { buzz } from "/static/js/gate_feel.js";
import { newId } from "/static/js/gate_hub.js";
import { compactPlate, drawPlate, iconOf } from "/static/js/gate_words.js";

const RECENT_MAX = 12;
const RECENT_SHOWN = 3;
const OUTCOME_MS = 10_000; // as long as an entry can be undone

export class Entering {
  #id = newId(); // of the stay that the next press opens: pressed twice, it opens one
  #timer = null;

  constructor(gate) {
    this.gate = gate;
    this.form = gate.screens.of("enter");
    this.input = this.form.elements.plate;
    this.strip = this.form.querySelector("[data-strip]");
    this.className = "motorbike";
    this.recent = [];
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
    this.draw();
    this.showRecent();
  }

  draw() {
    const compact = compactPlate(this.input.value);
    const written = drawPlate(compact, this.isTwoWheeled);
    if (this.input.value !== written) this.input.value = written;
    this.form.querySelector("[data-enter]").disabled = !compact;
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

  /** Let the vehicle in, or say why not. */
  async enter() {
    const { gate } = this;
    const plate = compactPlate(this.input.value);
    const sent = { id: this.#id, vehicle_class: this.className, plate };
    const answer = await gate.attempt(() => gate.hub.post(`/v1/lots/${gate.lot.id}/entries`, sent));
    if (!answer) return;
    gate.noteCount(sent.vehicle_class, answer.inside_count, answer.capacity);
    if (answer.verdict === "taken") this.#id = newId();
    this.showOutcome(sent, answer);
    const isIn = answer.verdict === "opened" || answer.verdict === "repeat";
    if (!isIn) return;
    this.#remember(plate, sent.vehicle_class);
    this.clear();
  }

  clear() {
    this.#id = newId();
    this.input.value = "";
    this.#showKeys("digits");
    this.draw();
  }

  /** Say what became of an entry: colour, sign, word, plate, and what may be done about it. */
  showOutcome(sent, answer) {
    const { say } = this.gate;
    const outcome = outcomeOf(answer);
    buzz(outcome.buzz);
    const values = {
      at: answer.entered_at ? say.at(answer.entered_at) : "",
      class: this.gate.className(sent.vehicle_class),
    };
    const actions = [];
    if (answer.verdict === "already_inside") {
      actions.push({ words: say("see"), icon: "search", run: () => this.gate.stays.open(answer.session_id) });
    }
    this.#fillStrip(outcome, say(`entered.${outcome.words}`, values), sent, actions);
  }

  #fillStrip({ tone, icon }, words, sent, actions) {
    clearTimeout(this.#timer);
    this.strip.dataset.tone = tone;
    const text = document.createElement("p");
    const plate = document.createElement("strong");
    plate.className = "plate";
    plate.translate = false;
    plate.textContent = drawPlate(sent.plate ?? "", /motorbike/.test(sent.vehicle_class)) || (sent.ticket ?? "");
    text.append(plate, words);
    this.strip.replaceChildren(
      this.gate.screens.icon(icon), text, ...actions.map((one) => this.gate.screens.button(one)),
    );
    if (tone === "good") this.#timer = setTimeout(() => this.showRecent(), OUTCOME_MS);
  }

  /** The plates of the last minutes: a wrong one is tapped and corrected, a guest comes again. */
  showRecent() {
    clearTimeout(this.#timer);
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
    this.strip.replaceChildren(...buttons);
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
    this.input.inputMode = "none";
  }

  #chooseClass() {
    const { gate } = this;
    gate.screens.openSheet(
      gate.say("class_title"),
      this.classes.map((name) => ({
        words: gate.className(name),
        icon: iconOf(name),
        run: () => {
          this.className = name;
          this.draw();
        },
      })),
    );
  }
}

/** Tone, sign, words and buzz of an entry's answer. */
export function outcomeOf(answer) {
  if (answer.verdict === "already_inside") return { tone: "attention", icon: "warning", words: "already_inside", buzz: "attention" };
  if (answer.verdict === "full") return { tone: "bad", icon: "stop", words: "full", buzz: "unpaid" };
  if (answer.verdict === "taken") return { tone: "attention", icon: "warning", words: "taken", buzz: "attention" };
  if (answer.is_watched) return { tone: "attention", icon: "warning", words: "watched", buzz: "attention" };
  if (answer.is_pass_in_use) return { tone: "attention", icon: "warning", words: "pass_in_use", buzz: "attention" };
  if (answer.pass_id) return { tone: "good", icon: "ticket", words: "pass", buzz: "pass" };
  return { tone: "good", icon: "check", words: "opened", buzz: "opened" };
}
