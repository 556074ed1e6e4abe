// What a vehicle left owing at an earlier visit: shown beside what it owes now, and collected by the
// earlier stay's own cash or code. One debt at a time, since each has a bill and a receipt of its own.

import { fillMoney } from "/static/js/gate_words.js";

export class Debts {
  #visit = null; // how the stay was opened on which the vehicle is here, while its debt is shown

  constructor(gate, stays) {
    this.gate = gate;
    this.stays = stays;
    this.box = stays.screen.querySelector("[data-debt]");
    this.box.addEventListener("click", () => gate.screens.once(this.box, () => this.#collect()));
  }

  /** Whether the screen shows a debt, and not the stay on which the vehicle is here. */
  get isOpen() {
    return this.#visit !== null;
  }

  /** Another stay is opened: no debt is shown any longer. */
  close() {
    this.#visit = null;
  }

  /** Offer to collect what the vehicle of a stay owes of before. */
  show({ arrears = [] }) {
    this.box.hidden = this.isOpen || !arrears.length;
    if (this.box.hidden) return;
    this.box.querySelector("[data-debt-word]").textContent = this.gate.say("debt.owes", { count: arrears.length });
    fillMoney(this.box.querySelector("[data-debt-sum]"), sumOf(arrears));
  }

  /** What the vehicle that came in owes of before; nothing where it is not known. */
  async ask(sessionId) {
    const { gate } = this;
    const path = `/gate/lots/${gate.lot.id}/stays/${sessionId}/debts`;
    const found = await gate.attempt(() => gate.hub.get(path), { quiet: true });
    return sumOf(found?.arrears ?? []);
  }

  /** When the debt was made, and what may be done about it. */
  facts({ left_at: leftAt }) {
    return this.gate.say("debt.left", { at: leftAt ? this.gate.say.at(leftAt) : "" });
  }

  actions(due) {
    const { stays } = this;
    const { say } = this.gate;
    const back = { words: say("debt.later"), icon: "back", name: "later", run: () => this.back() };
    if (!due) return [this.goOn()];
    const [cash, qr] = stays.payments();
    return [back, cash, { ...qr, look: "main" }];
  }

  /** Settled: on with the stay on which the vehicle is here. */
  goOn() {
    return { words: this.gate.say("debt.go_on"), icon: "check", look: "main", name: "go_on", run: () => this.back() };
  }

  /** Back to the stay on which the vehicle is here. */
  back() {
    const { id, ...how } = this.#visit;
    return this.stays.open(id, how);
  }

  /** Somebody else has collected it: it is no longer for this person to see. */
  async giveUp() {
    await this.back();
    this.gate.screens.complain(this.gate.say("debt.settled"));
  }

  /** Back from the debt's code. */
  async showAgain() {
    const { stays } = this;
    this.gate.screens.show("stay"); // it stands there as it was, whatever is answered
    const debt = await this.read(stays.stay.id);
    if (!debt) return undefined;
    return debt.due_vnd ? stays.show(debt) : this.giveUp();
  }

  /**
   * A debt as it stands now. What the hub no longer shows is gone: somebody else has collected it.
   * Null where nobody can know, and that is said: without an answer no debt is settled.
   */
  async read(sessionId) {
    let isGone = false;
    const instead = {
      parking_session_not_found: () => {
        isGone = true;
        return null;
      },
      no_network: () => {
        this.gate.screens.complain(this.gate.say("problem.no_network"));
        return null;
      },
    };
    const debt = await this.stays.read(sessionId, { instead });
    return isGone ? { due_vnd: 0, is_gone: true } : debt;
  }

  async #collect() {
    const { stays } = this;
    const { stay, isTicketLost, stayMinutes, seenPlate, photo } = stays;
    const [oldest] = stay.arrears;
    Object.assign(stays, { isTicketLost: false, stayMinutes: 0 }); // they are of this visit
    const debt = await this.read(oldest.id);
    if (!debt) return Object.assign(stays, { isTicketLost, stayMinutes });
    this.#visit = { id: stay.id, isTicketLost, seenPlate, photo: photo.taken };
    if (!debt.due_vnd) return this.giveUp();
    return stays.show(debt);
  }
}

function sumOf(arrears) {
  return arrears.reduce((sum, { due_vnd: dueVnd }) => sum + dueVnd, 0);
}
