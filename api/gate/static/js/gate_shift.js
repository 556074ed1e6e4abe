// The attendant's shift: opened before the first vehicle, and the figures of what it did.

import { newId } from "/static/js/gate_hub.js";
import { vnd } from "/static/js/gate_words.js";

export class Shifts {
  #openId; // pressed twice, one shift is opened

  constructor(gate) {
    this.gate = gate;
    const form = gate.screens.of("open");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      gate.screens.once(event.submitter ?? form, () => this.#openShift(form));
    });
    const closing = gate.screens.of("close");
    gate.screens.of("shift").querySelector("[data-go=close]").addEventListener("click", () => gate.screens.show("close"));
    closing.addEventListener("submit", (event) => {
      event.preventDefault();
      gate.screens.once(event.submitter ?? closing, () => this.#closeShift(closing));
    });
    gate.screens.of("report").querySelector("[data-new-shift]").addEventListener("click", () => location.reload());
    const deposit = gate.screens.of("shift").querySelector("[data-deposit]");
    deposit.addEventListener("click", () => gate.screens.once(deposit, () => this.#deposit()));
  }

  /** Show the first screen: the running shift's lot, or the opening of a shift. */
  begin() {
    const { gate } = this;
    if (gate.shift && gate.state.lots.some(({ id }) => id === gate.shift.lot_id)) {
      gate.workAt(gate.shift.lot_id);
      gate.screens.show("enter");
      return;
    }
    this.#openId = newId();
    this.#listLots();
    gate.screens.show("open");
  }

  /** Show the figures of the running shift, or the opening of one. */
  async open() {
    const { gate } = this;
    if (!gate.shift) return gate.screens.show("open");
    const screen = gate.screens.of("shift");
    screen.querySelector("[data-price]").href = gate.hub.address(`/gate/lots/${gate.lot.id}/price`);
    screen.querySelector("[data-since]").textContent = gate.say("shift.since", { at: gate.say.at(gate.shift.opened_at) });
    gate.screens.show("shift");
    const report = await gate.attempt(() => gate.hub.get(`/v1/shifts/${gate.shift.id}`), { quiet: true });
    if (!report) return;
    const owed = report.on_behalf_vnd - report.deposited_vnd;
    const deposit = screen.querySelector("[data-deposit]");
    deposit.hidden = owed <= 0;
    deposit.querySelector("span").textContent = gate.say("report.deposit", { amount: vnd(owed) });
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
    list.querySelectorAll("label").forEach((one) => one.remove()); // of who had the phone before
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
    gate.keepPage();
    gate.screens.show("enter");
  }

  /** Close the shift with the count, and show the difference that nobody was told before. */
  async #closeShift(form) {
    const { gate } = this;
    await gate.queue.flush(); // cash that was taken without a network belongs into the count
    const counted = Number(form.elements.counted.value.replace(/\D/g, ""));
    const note = form.elements.note.value.trim();
    const body = { counted_vnd: counted, ...(note && { note }) };
    const report = await gate.attempt(() => gate.hub.post(`/v1/shifts/${gate.shift.id}/close`, body));
    if (!report) return;
    gate.shift = null;
    gate.keepPage();
    this.#showReport(report);
  }

  #showReport(report) {
    const { say } = this.gate;
    const screen = this.gate.screens.of("report");
    const verdict = screen.querySelector("[data-variance]");
    const variance = report.variance_vnd;
    const which = variance === 0 ? "even" : variance > 0 ? "over" : "short";
    verdict.dataset.tone = variance === 0 ? "good" : "attention";
    verdict.replaceChildren(
      this.gate.screens.icon(variance === 0 ? "check" : "warning"),
      say(`report.${which}`, { amount: vnd(Math.abs(variance)) }),
    );
    const times = ({ count, amount_vnd: amountVnd }) => say("report.times", { count, amount: vnd(amountVnd) });
    const rails = Object.entries(report.by_rail).map(([rail, total]) => [rail, times(total)]);
    const rows = [
      ["counted", vnd(report.counted_vnd)],
      ["expected", vnd(report.expected_vnd)],
      ["entered", report.entered],
      ["without_photo", report.without_photo],
      ["left", report.left],
      ["inside", Object.values(report.inside).reduce((sum, count) => sum + count, 0)],
      ["due", vnd(report.due_vnd)],
      ...rails,
      ["on_behalf", vnd(report.on_behalf_vnd - report.deposited_vnd)],
      ["unconfirmed", times(report.unconfirmed)],
      ["arrears", times(report.arrears)],
      ["manual", report.manual_opens],
      ["reversed", times(report.reversed)],
    ];
    screen.querySelector("[data-report]").replaceChildren(
      ...rows.map(([name, value]) => {
        const row = document.createElement("div");
        row.dataset.row = name;
        row.append(
          Object.assign(document.createElement("dt"), { textContent: say(`report.${name}`) }),
          Object.assign(document.createElement("dd"), { textContent: value }),
        );
        return row;
      }),
    );
    this.gate.screens.show("report");
  }

  /** One bill for all that was paid on behalf of drivers, to be paid from one's own bank app. */
  async #deposit() {
    const { gate } = this;
    const bill = await gate.attempt(() => gate.hub.post(`/v1/shifts/${gate.shift.id}/deposits`, { id: newId() }));
    if (!bill) return;
    const path = `/gate/lots/${gate.lot.id}/bills/${bill.id}/code`;
    const picture = await gate.attempt(() => gate.hub.get(path, { as: "text" }));
    if (picture === null) return;
    gate.screens.openSheet(gate.say("report.deposit", { amount: vnd(bill.missing_vnd) }), [], (body) => {
      const code = Object.assign(document.createElement("div"), { className: "qr", innerHTML: picture });
      body.append(code);
    });
  }
}
