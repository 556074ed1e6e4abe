// The attendant's shift: opened before the first vehicle, and the figures of what it did.

import { newId } from "/static/js/gate_hub.js";

export class Shifts {
  #openId = newId(); // pressed twice, one shift is opened

  constructor(gate) {
    this.gate = gate;
    const form = gate.screens.of("open");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      gate.screens.once(event.submitter ?? form, () => this.#openShift(form));
    });
  }

  /** Show the first screen: the running shift's lot, or the opening of a shift. */
  begin() {
    const { gate } = this;
    if (gate.shift) {
      gate.workAt(gate.shift.lot_id);
      gate.screens.show("enter");
      return;
    }
    this.#listLots();
    gate.screens.show("open");
  }

  /** Show the figures of the running shift, or the opening of one. */
  async open() {
    const { gate } = this;
    if (!gate.shift) return gate.screens.show("open");
    const screen = gate.screens.of("shift");
    screen.querySelector("[data-since]").textContent = gate.say("shift.since", { at: gate.say.at(gate.shift.opened_at) });
    gate.screens.show("shift");
    const report = await gate.attempt(() => gate.hub.get(`/v1/shifts/${gate.shift.id}`), { quiet: true });
    if (!report) return;
    const inside = Object.values(report.inside).reduce((sum, count) => sum + count, 0);
    const shown = { entered: report.entered, left: report.left, inside };
    for (const [name, value] of Object.entries(shown)) {
      screen.querySelector(`[data-figure=${name}]`).textContent = value;
    }
  }

  #listLots() {
    const { lots } = this.gate.state;
    const form = this.gate.screens.of("open");
    const list = form.querySelector("[data-lots]");
    for (const [at, lot] of lots.entries()) {
      const label = document.createElement("label");
      label.className = "gate-choice";
      const input = Object.assign(document.createElement("input"), {
        type: "radio", name: "lot", value: lot.id, checked: at === 0, required: true,
      });
      const text = document.createElement("span");
      text.textContent = lot.name;
      label.append(input, text);
      list.append(label);
    }
    form.querySelector("[data-no-lot]").hidden = lots.length > 0;
    form.querySelector("[data-look=main]").disabled = lots.length === 0;
  }

  async #openShift(form) {
    const { gate } = this;
    const lotId = form.elements.lot.value;
    const change = Number(form.elements.change.value.replace(/\D/g, "") || 0);
    const shift = await gate.attempt(() =>
      gate.hub.post("/v1/shifts", { id: this.#openId, lot_id: lotId, change_vnd: change }),
    );
    if (!shift) return;
    gate.shift = { id: shift.id, lot_id: lotId, opened_at: shift.opened_at };
    gate.workAt(lotId);
    gate.screens.show("enter");
  }
}
