// Who works with this phone. Several attendants share one enrolled phone: each is named by their PIN,
// which the hub alone compares, and a shift stays with its person.
//
// The browser's sign-in stays as it is; once somebody is named, the device's token acts for them.
// Without a network no PIN can be compared: the people whose shift runs on this phone go on, and
// what they do is marked so.

import { findDevice, Refused as DeviceRefused } from "/static/js/device.js";
import { changeFact, put, readFact, remove } from "/static/js/gate_store.js";

const KEPT_MAX = 30; // people whom this phone knows
const PIN_DIGITS = 6;

export class People {
  constructor(gate) {
    this.gate = gate;
    this.device = null;
    this.isNamed = false; // by a PIN, or chosen without a network
    this.isChecked = true; // by the hub
    gate.hub.onUnnamed = () => {
      // Who was chosen without a network waits for the line; a PIN that is half typed stays.
      const mayAsk = this.isChecked || gate.isLive;
      if (mayAsk && !gate.screens.sheet.open) this.#askPin(gate.state.person);
    };
    for (const button of document.querySelectorAll("[data-change-person]")) {
      button.addEventListener("click", () => gate.screens.once(button, () => this.choose()));
    }
  }

  /** Find out who was named on this phone last, before anything is done with it. */
  async begin() {
    try {
      this.device = await findDevice();
      const kept = this.device && (await readFact("named"));
      if (kept) this.#take(kept.state, { isChecked: kept.isChecked });
    } catch {
      return; // no IndexedDB: this phone is no device
    }
    for (const button of document.querySelectorAll("[data-change-person]")) button.hidden = !this.device;
    this.#draw();
  }

  /** The line is live: whoever was chosen without a network types their PIN now. */
  async lookAgain() {
    const { gate } = this;
    if (!this.isNamed || gate.screens.sheet.open) return;
    if (!this.isChecked) {
      this.#askPin(gate.state.person);
      return;
    }
    const state = await gate.attempt(() => gate.hub.get("/gate/state"), { quiet: true });
    const isOther = state && state.shift?.id !== gate.shift?.id; // closed or opened elsewhere
    if (isOther && state.person.id === gate.state.person.id) await this.#begin(state, { isChecked: true });
  }

  /** Keep what is known of the running person: shift and all, for the time without a network. */
  async note() {
    if (!this.device) return;
    const { state, shift } = this.gate;
    const one = { ...state, shift };
    if (this.isNamed) await put("facts", { state: one, isChecked: this.isChecked }, "named");
    await changeFact("people", (before = []) => {
      const others = before.filter(({ person }) => person.id !== one.person.id);
      return [one, ...others].slice(0, KEPT_MAX);
    });
    this.device.forgetToken(); // it says which shift
  }

  /** The browser signs out: the next one begins as who signs in. */
  forget() {
    if (this.device) remove("facts", "named");
  }

  /** Let somebody else take the phone. */
  async choose() {
    const { gate } = this;
    const { say } = gate;
    let people;
    try {
      people = await this.device.listPeople();
    } catch (error) {
      if (!(error instanceof DeviceRefused)) throw error;
      if (error.code !== "no_answer") return gate.screens.complain(say.problem(error.code));
      return this.#chooseUnchecked();
    }
    people.sort((one, other) => one.name.localeCompare(other.name, "vi"));
    const actions = people.map(({ staff_id: id, name, has_pin: hasPin }) => ({
      words: hasPin ? name : say("people.no_pin", { name }),
      icon: "person",
      name: "person",
      run: () => (hasPin ? this.#askPin({ id, name }) : gate.screens.complain(say("people.needs_pin"))),
    }));
    return gate.screens.openSheet(say("people.title"), actions);
  }

  /** Without a network: those whose shift runs on this phone. */
  async #chooseUnchecked() {
    const { gate } = this;
    const { say } = gate;
    const lotId = this.device.lotId;
    const known = ((await readFact("people")) ?? []).filter(({ shift }) => shift?.lot_id === lotId);
    const others = known.filter(({ person }) => person.id !== gate.state.person.id);
    if (!others.length) return gate.screens.complain(say("people.nobody_offline"));
    return gate.screens.openSheet(
      say("people.title_offline"),
      others.map((state) => ({
        words: state.person.name,
        icon: "person",
        name: "person",
        run: () => this.#begin(state, { isChecked: false }),
      })),
    );
  }

  #askPin({ id, name }) {
    const { gate } = this;
    const { say } = gate;
    gate.screens.openSheet(say("people.pin_of", { name }), [], (body) => {
      const form = document.createElement("form");
      form.className = "gate-ask";
      const input = Object.assign(document.createElement("input"), {
        className: "gate-input", name: "pin", type: "password", inputMode: "numeric", autocomplete: "off",
        maxLength: PIN_DIGITS, pattern: `[0-9]{${PIN_DIGITS}}`, required: true,
      });
      input.setAttribute("aria-label", say("people.pin"));
      const said = Object.assign(document.createElement("p"), { className: "gate-said", hidden: true });
      said.setAttribute("role", "alert");
      const button = gate.screens.button({ words: say("people.take"), icon: "check", look: "main", run: () => {} });
      button.type = "submit";
      form.append(input, said, button);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const pin = input.value;
        input.value = "";
        said.hidden = true;
        gate.screens.once(button, async () => {
          const problem = await this.#name(id, pin);
          if (!problem) return;
          said.textContent = problem;
          said.hidden = false;
          input.focus();
        });
      });
      body.append(form);
      setTimeout(() => input.focus(), 0);
    });
  }

  /** Let the hub compare the PIN; returns what went wrong, or nothing. */
  async #name(id, pin) {
    const { gate } = this;
    try {
      await this.device.namePerson(id, pin);
    } catch (error) {
      if (!(error instanceof DeviceRefused)) throw error;
      const code = error.code === "no_answer" ? "no_network" : error.code;
      return gate.say.problem(code);
    }
    gate.hub.actAs(this.device, id);
    const state = await gate.attempt(() => gate.hub.get("/gate/state"), { quiet: true });
    if (!state) return gate.say.problem("no_network");
    gate.screens.sheet.close();
    await this.#begin(state, { isChecked: true });
    return "";
  }

  async #begin(state, { isChecked }) {
    this.#take(state, { isChecked });
    await this.note();
    this.#draw();
    this.gate.shifts.begin();
  }

  #take(state, { isChecked }) {
    const { gate } = this;
    this.isNamed = true;
    this.isChecked = isChecked;
    gate.state = { ...gate.state, person: state.person, lots: state.lots, shift: state.shift };
    gate.shift = state.shift;
    gate.hub.actAs(this.device, state.person.id);
  }

  #draw() {
    const { name } = this.gate.state.person;
    for (const one of document.querySelectorAll("[data-person-name]")) one.textContent = `${name} ·`;
    const hello = document.querySelector("[data-hello]");
    if (this.isNamed) hello.textContent = this.gate.say("people.hello", { name });
  }
}
