// What the hub's reader made of the photo at the way in: the attendant says whether it is right.

import { compactPlate } from "/static/js/gate_words.js";

export class ReadPlate {
  constructor(gate, stays) {
    this.gate = gate;
    this.stays = stays;
    this.box = stays.screen.querySelector("[data-read]");
    const right = this.box.querySelector("[data-read-right]");
    right.addEventListener("click", () => gate.screens.once(right, () => this.#name(stays.stay.read_plate, "anpr")));
    this.box.querySelector("[data-read-fix]").addEventListener("click", () => this.#fix());
  }

  /** Show what was read, for a stay whose vehicle nobody has named. */
  show(stay) {
    this.box.hidden = !stay.read_plate;
    this.box.querySelector("[data-read-plate]").textContent = stay.read_plate ?? "";
  }

  #fix() {
    const { say } = this.gate;
    this.gate.screens.ask(say("read.fix_title"), {
      send: say("ways.save"), icon: "check", value: this.stays.stay.read_plate,
      run: (said) => this.#name(compactPlate(said), "visual"),
    });
  }

  async #name(plate, method) {
    const { gate, stays } = this;
    const { stay } = stays;
    const body = { plate, vehicle_class: stay.vehicle_class, method };
    const named = await gate.attempt(() => gate.hub.post(`/v1/lots/${gate.lot.id}/sessions/${stay.id}/plate`, body));
    if (!named) return;
    await stays.open(stay.id, { isTicketLost: stays.isTicketLost });
    if (named.is_conflict) gate.screens.complain(gate.say("read.conflict"));
  }
}
