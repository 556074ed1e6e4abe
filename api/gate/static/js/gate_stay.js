// A vehicle at the way out: what it owes, its code, the money that came, and the gate.

import { buzz } from "/static/js/gate_feel.js";
import { newId } from "/static/js/gate_hub.js";
import { fillMoney, vnd } from "/static/js/gate_words.js";

const UNDO_MS = 10_000;

export class Stays {
  #billId = newId(); // pressed twice, one bill is opened
  #countdown = null;

  constructor(gate) {
    this.gate = gate;
    this.stay = null;
    this.bill = null;
    this.screen = gate.screens.of("stay");
    this.code = gate.screens.of("code");
    this.code.querySelector("[data-code-back]").addEventListener("click", () => this.open(this.stay.id));
    document.addEventListener("gate:screen", () => clearInterval(this.#countdown));
  }

  get #plate() {
    return this.stay.plate ?? this.stay.ticket ?? this.gate.say("no_plate");
  }

  #path(rest) {
    return `/v1/parking-sessions/${this.stay.id}${rest}`;
  }

  /** Read a stay with its quote and show what is due. */
  async open(sessionId) {
    const stay = await this.#read(sessionId);
    if (!stay) return;
    if (stay.status !== "inside" && stay.status !== "review") {
      this.gate.screens.complain(this.gate.say.problem("not_inside"));
      return;
    }
    this.#show(stay);
  }

  #read(sessionId, { quiet = false } = {}) {
    const { gate } = this;
    const lang = document.documentElement.lang;
    const path = `/gate/lots/${gate.lot.id}/stays/${sessionId}?lang=${lang}`;
    return gate.attempt(() => gate.hub.get(path), { quiet });
  }

  #show(stay) {
    const { gate, screen } = this;
    if (stay.id !== this.stay?.id || stay.due_vnd !== this.stay?.due_vnd) this.#billId = newId();
    this.stay = stay;
    screen.querySelector("[data-plate]").textContent = this.#plate;
    const facts = [gate.className(stay.vehicle_class), gate.say.since(stay.entered_at)];
    screen.querySelector("[data-since]").textContent = facts.join(" · ");
    const photo = screen.querySelector("[data-photo]");
    photo.replaceChildren();
    if (stay.photo) photo.append(Object.assign(new Image(), { src: stay.photo, alt: "" }));
    const due = screen.querySelector(".gate-due");
    due.dataset.dueTone = stay.due_vnd ? "due" : "none";
    due.querySelector("[data-due-word]").textContent = this.#dueWord();
    fillMoney(due.querySelector("[data-due]"), stay.due_vnd);
    screen.querySelector("[data-lines]").replaceChildren(
      ...stay.lines.map(({ words, amount_vnd: amountVnd }) => {
        const line = document.createElement("li");
        const amount = document.createElement("span");
        amount.className = "money";
        amount.textContent = amountVnd < 0 ? `−${vnd(-amountVnd)}` : vnd(amountVnd);
        line.append(words, amount);
        return line;
      }),
    );
    screen.querySelector("[data-actions]").replaceChildren(...this.#actions().map((one) => gate.screens.button(one)));
    gate.screens.show("stay");
    if (stay.due_vnd) buzz("unpaid");
  }

  #dueWord() {
    const { stay, gate } = this;
    if (stay.due_vnd) return gate.say("due.due");
    if (stay.paid_vnd) return gate.say("due.paid", { amount: vnd(stay.paid_vnd) });
    if (stay.is_exempt) return gate.say("due.exempt");
    return gate.say(stay.pass_id ? "due.pass" : "due.free");
  }

  #actions() {
    const { say } = this.gate;
    if (!this.stay.due_vnd) {
      return [{ words: say("leave.send"), icon: "leave", look: "good", name: "leave", run: () => this.leave() }];
    }
    return [{ words: say("pay.qr"), icon: "qr", look: "main", name: "qr", run: () => this.showCode() }];
  }

  /** Open a bill for what is due and show its code. */
  async showCode() {
    const { gate, stay } = this;
    const body = { id: this.#billId, amount_vnd: stay.due_vnd, quote: stay.quote };
    const bill = await gate.attempt(() => gate.hub.post(this.#path("/bills"), body));
    if (!bill) return this.#readAgain();
    const path = `/gate/lots/${gate.lot.id}/bills/${bill.id}/code`;
    const picture = await gate.attempt(() => gate.hub.get(path, { as: "text" }));
    if (picture === null) return this.#readAgain();
    this.bill = bill;
    this.code.querySelector("[data-plate]").textContent = this.#plate;
    this.code.querySelector("[data-amount]").textContent = vnd(bill.missing_vnd);
    this.code.querySelector("[data-reference]").textContent = bill.reference;
    this.code.querySelector("[data-code]").innerHTML = picture;
    gate.screens.show("code");
    return undefined;
  }

  /** News of the lot: this stay was paid, here or on another phone. */
  async receivePaid({ session_id: sessionId }) {
    if (sessionId !== this.stay?.id || !["stay", "code"].includes(this.gate.screens.name)) return;
    await this.#readAgain();
  }

  /** The line was away: what came meanwhile was not received. */
  async lookAgain() {
    if (this.gate.screens.name === "code") await this.#readAgain();
  }

  async #readAgain() {
    const stay = await this.#read(this.stay.id, { quiet: true });
    if (!stay || stay.id !== this.stay.id) return;
    const paidVnd = stay.paid_vnd - this.stay.paid_vnd;
    if (stay.status === "inside" && !stay.due_vnd && paidVnd > 0) {
      this.stay = stay;
      this.showPaid(paidVnd);
    } else if (this.gate.screens.name !== "code" || stay.due_vnd !== this.stay.due_vnd) {
      this.#show(stay);
    }
  }

  /** The money is here: green, and the gate. */
  showPaid(amountVnd, detail = "") {
    const { gate, stay } = this;
    const { say } = gate;
    buzz("paid");
    gate.screens.verdict({
      tone: "good",
      icon: "check",
      title: say("paid.title"),
      plate: this.#plate,
      amountVnd,
      detail: detail || (stay.paid_until ? say("due.until", { at: say.at(stay.paid_until) }) : ""),
      actions: [{ words: say("leave.send"), icon: "leave", look: "main", name: "leave", run: () => this.leave() }],
    });
  }

  /** Let the vehicle out; for ten seconds it can be undone. */
  async leave(body = {}) {
    const { gate, stay } = this;
    const left = await gate.attempt(() => gate.hub.post(this.#path("/exit"), body));
    if (!left) return this.#readAgain();
    buzz("left");
    const plate = this.#plate;
    gate.screens.verdict({
      tone: left.arrears_vnd ? "attention" : "good",
      icon: left.arrears_vnd ? "warning" : "check",
      title: gate.say("leave.done"),
      plate,
      detail: gate.say(`leave.${left.reason}`, { amount: vnd(left.arrears_vnd) }),
      actions: [
        { words: gate.say("undo", { seconds: UNDO_MS / 1000 }), icon: "replay", name: "undo", run: () => this.#undo(stay.id) },
        { words: gate.say("next"), icon: "search", look: "main", name: "next", run: () => gate.screens.show("find") },
      ],
    });
    this.#countDown();
    gate.readCount();
    return undefined;
  }

  #countDown() {
    const undo = this.gate.screens.of("verdict").querySelector("[data-action=undo]");
    const end = performance.now() + UNDO_MS;
    clearInterval(this.#countdown);
    this.#countdown = setInterval(() => {
      const seconds = Math.ceil((end - performance.now()) / 1000);
      undo.lastElementChild.textContent = this.gate.say("undo", { seconds: Math.max(0, seconds) });
      if (seconds > 0) return;
      undo.disabled = true;
      clearInterval(this.#countdown);
    }, 500);
  }

  async #undo(sessionId) {
    const { gate } = this;
    const back = await gate.attempt(() => gate.hub.post(`/v1/parking-sessions/${sessionId}/exit/undo`));
    if (back) await this.open(sessionId);
  }
}
