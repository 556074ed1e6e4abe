// A vehicle at the way out: what it owes, its code, the money that came, and the gate.

import { Debts } from "/static/js/gate_debts.js";
import { ExitPhoto } from "/static/js/gate_exit_photo.js";
import { buzz } from "/static/js/gate_feel.js";
import { newId } from "/static/js/gate_hub.js";
import { OtherWays } from "/static/js/gate_other_ways.js";
import { ReadPlate } from "/static/js/gate_read.js";
import { fillMoney, vnd } from "/static/js/gate_words.js";

const UNDO_MS = 10_000;
const IS_INSIDE = ["inside", "review"];

export class Stays {
  #billId = newId(); // pressed twice, one bill is opened
  #countdown = null;
  #isUnderWay = false; // an exit, or the taking back of a payment

  constructor(gate) {
    this.gate = gate;
    this.stay = null;
    this.isTicketLost = false;
    this.stayMinutes = 0; // that are paid ahead; 0: what is due now
    this.seenPlate = ""; // the whole plate that was looked for, as it stands at the way out
    this.screen = gate.screens.of("stay");
    this.code = gate.screens.of("code");
    this.ways = new OtherWays(gate, this);
    this.readPlate = new ReadPlate(gate, this);
    this.debts = new Debts(gate, this);
    this.photo = new ExitPhoto(gate, this);
    this.code.querySelector("[data-code-back]").addEventListener("click", () => (this.debts.isOpen ? this.debts.showAgain() : this.open(this.stay.id)));
    const cash = this.code.querySelector("[data-code-cash]");
    cash.addEventListener("click", () => gate.screens.once(cash, () => this.takeCash()));
    const leave = this.code.querySelector("[data-code-leave]");
    leave.addEventListener("click", () => gate.screens.once(leave, () => this.#demandUnconfirmed()));
    document.addEventListener("gate:screen", () => clearInterval(this.#countdown));
  }

  get plate() {
    return this.stay.plate ?? this.stay.ticket ?? this.gate.say("no_plate");
  }

  path(rest, stay = this.stay) {
    return `/v1/parking-sessions/${stay.id}${rest}`;
  }

  /** Read a stay with its quote and show what is due. */
  async open(sessionId, { isTicketLost = false, seenPlate = "", photo = null, stayMinutes = 0 } = {}) {
    const { isTicketLost: wasLost, seenPlate: plateBefore, stayMinutes: minutesBefore } = this;
    Object.assign(this, { isTicketLost, seenPlate, stayMinutes });
    const stay = await this.read(sessionId);
    if (!stay) {
      // What is shown stays, and is what it was.
      Object.assign(this, { isTicketLost: wasLost, seenPlate: plateBefore, stayMinutes: minutesBefore });
      return;
    }
    if (photo || sessionId !== this.stay?.id) this.photo.use(photo);
    this.debts.close();
    if (IS_INSIDE.includes(stay.status)) this.show(stay);
    else this.gate.screens.complain(this.gate.say.problem("not_inside"));
  }

  /** @param {{quiet?: boolean, instead?: Record<string, () => any>}} [options] as of Gate.attempt */
  async read(sessionId, { quiet = false, instead = {} } = {}) {
    const { gate } = this;
    const lost = this.isTicketLost ? "&is_ticket_lost=true" : "";
    const ahead = this.stayMinutes ? `&stay_minutes=${this.stayMinutes}` : "";
    const path = `/gate/lots/${gate.lot.id}/stays/${sessionId}?lang=${document.documentElement.lang}${lost}${ahead}`;
    const known = gate.queue.isReady ? { no_network: () => this.#readKnown(sessionId, quiet) } : {};
    const stay = await gate.attempt(() => gate.hub.get(path), { quiet, instead: { ...known, ...instead } });
    if (stay && !stay.is_offline) await gate.offline.note(stay);
    return stay;
  }

  async #readKnown(sessionId, quiet) {
    const known = await this.gate.offline.read(sessionId, { isTicketLost: this.isTicketLost });
    if (!known && !quiet) this.gate.screens.complain(this.gate.say("problem.no_network"));
    return known;
  }

  show(stay) {
    const { gate, screen } = this;
    if (stay.id !== this.stay?.id || stay.due_vnd !== this.stay?.due_vnd) this.#billId = newId();
    this.stay = stay;
    screen.querySelector("[data-plate]").textContent = this.plate;
    const when = this.debts.isOpen ? this.debts.facts(stay) : gate.say.since(stay.entered_at);
    const facts = [gate.className(stay.vehicle_class), when];
    screen.querySelector("[data-since]").textContent = facts.join(" · ");
    this.photo.show(stay);
    this.readPlate.show(stay);
    this.debts.show(stay);
    const due = screen.querySelector(".gate-due");
    due.dataset.dueTone = this.#dueTone();
    due.querySelector("[data-due-word]").textContent = this.#dueWord();
    fillMoney(due.querySelector("[data-due]"), stay.due_vnd);
    this.#showPass(due.querySelector("[data-pass]"));
    screen.querySelector("[data-lines]").replaceChildren(...this.#lines());
    screen.querySelector("[data-actions]").replaceChildren(...this.#actions().map((one) => gate.screens.button(one)));
    gate.screens.show("stay");
    if (stay.due_vnd) buzz("unpaid");
    else if (stay.pass_id) buzz("pass");
  }

  #lines() {
    return this.stay.lines.map(({ words, amount_vnd: amountVnd }) => {
      const line = document.createElement("li");
      const amount = document.createElement("span");
      amount.className = "money";
      amount.textContent = amountVnd < 0 ? `−${vnd(-amountVnd)}` : vnd(amountVnd);
      line.append(words, amount);
      return line;
    });
  }

  /** Whose pass the stay is on, or could be on, and until when. */
  #showPass(line) {
    const held = this.stay.is_offline ? null : (this.stay.pass ?? this.stay.pass_offer); // else the list says it
    line.hidden = !held || this.debts.isOpen;
    if (line.hidden) return;
    const how = held.is_over ? "over" : this.stay.pass ? held.kind : "offer";
    line.dataset.pass = how;
    line.lastElementChild.textContent = this.gate.say(`pass.${how}`, held);
  }

  #dueTone() {
    if (!this.stay.due_vnd) return "none";
    return this.debts.isOpen ? "debt" : "due";
  }

  #dueWord() {
    const { stay, gate } = this;
    if (this.debts.isOpen) return gate.say(stay.due_vnd ? "debt.due" : "debt.paid");
    if (stay.due_vnd && stay.stay_minutes) return gate.say("due.ahead", { count: stay.stay_minutes / 60 });
    if (stay.due_vnd) return gate.say("due.due");
    if (stay.is_exempt) return gate.say("due.exempt");
    if (stay.pass_id) return gate.say("due.pass");
    if (stay.paid_vnd) return gate.say("due.paid", { amount: vnd(stay.paid_vnd) });
    return gate.say("due.free");
  }

  #actions() {
    const { say } = this.gate;
    if (this.debts.isOpen) return this.debts.actions(this.stay.due_vnd);
    if (this.stay.is_offline) return this.#offlineActions();
    const more = { words: say("pay.more"), icon: "list", name: "more", run: () => this.ways.open() };
    if (!this.stay.due_vnd) {
      return [more, { words: say("leave.send"), icon: "leave", look: "good", name: "leave", run: () => this.leave() }];
    }
    const offer = this.stay.pass_offer;
    if (offer) {
      return [more, { words: say("pay.pass"), icon: "ticket", look: "good", name: "pass", run: () => this.ways.usePass(offer) }];
    }
    const [cash, qr] = this.payments();
    return [more, cash, { ...qr, look: "main" }];
  }

  payments() {
    const { say } = this.gate;
    return [
      { words: say("pay.cash"), icon: "cash", name: "cash", run: () => this.takeCash() },
      { words: say("pay.qr"), icon: "qr", name: "qr", run: () => this.showCode() },
    ];
  }

  /** Without a network: cash, and out; whether a transfer came nobody can know. */
  #offlineActions() {
    const { say } = this.gate;
    const lost = this.ways.offerLost();
    if (!this.stay.due_vnd) {
      return [...lost, { words: say("leave.send"), icon: "leave", look: "good", name: "leave", run: () => this.#leaveOffline() }];
    }
    return [
      ...lost,
      { words: say("ways.unconfirmed"), icon: "phone", name: "unconfirmed", run: () => this.#demandUnconfirmed() },
      { words: say("pay.qr"), icon: "qr", name: "qr", run: () => this.#showOwnCode() },
      { words: say("pay.cash"), icon: "cash", look: "main", name: "cash", run: () => this.takeCash() },
    ];
  }

  async #takeCashOffline() {
    if (!(await this.gate.offline.takeCash(this.stay))) return;
    const paidVnd = this.stay.due_vnd;
    this.stay = { ...this.stay, due_vnd: 0, paid_vnd: this.stay.paid_vnd + paidVnd };
    this.showPaid(paidVnd, this.gate.say("offline.kept"));
  }

  #demandUnconfirmed() {
    const reason = this.gate.say("ways.unconfirmed_usual");
    return this.photo.demand("unconfirmed", (more) => this.#leaveOffline({ reason, ...more }));
  }

  /** Without a network: a code of this phone's own; whether it was paid the hub says later. */
  async #showOwnCode() {
    const { gate, stay } = this;
    const code = await gate.references.drawFor(stay);
    if (!code) return gate.screens.complain(gate.say("offline.no_codes"));
    this.stay = { ...stay, code };
    return this.#showCode(gate.references.picture(code), code.reference, code.amount_vnd);
  }

  /** It has left, and the hub is told later: as with a network, why, and by which photo. */
  async #leaveOffline({ forced = null, reason = "", no_photo_reason: whyNoPhoto = "" } = {}) {
    const { gate, stay } = this;
    const more = {
      ...(forced && { forced, reason }),
      ...this.photo.facts(),
      ...(whyNoPhoto && { no_photo_reason: whyNoPhoto }),
    };
    if (!(await gate.offline.leave(stay, reason, more))) return;
    const why = forced ?? (stay.due_vnd ? "unconfirmed" : "");
    await this.photo.attach(stay, this.plate);
    this.photo.use(null);
    buzz(stay.due_vnd ? "unpaid" : "left");
    gate.screens.verdict({
      tone: stay.due_vnd ? "attention" : "good",
      icon: stay.due_vnd ? "warning" : "check",
      title: gate.say("leave.done"),
      plate: this.plate,
      detail: [why ? gate.say(`leave.${why}`, { amount: vnd(stay.due_vnd) }) : "", gate.say("offline.kept")].filter(Boolean).join(" · "),
      actions: [{ words: gate.say("next"), icon: "search", look: "main", name: "next", run: () => gate.screens.show("find") }],
    });
  }

  /** Open a bill for what is due and show its code. */
  async showCode() {
    const { gate, stay } = this;
    const body = { id: this.#billId, amount_vnd: stay.due_vnd, quote: stay.quote };
    const bill = await gate.attempt(() => gate.hub.post(this.path("/bills"), body));
    return bill ? this.#showBill(bill) : this.readAgain();
  }

  /** Charge the driver's toll account; what it does not pay, a code for the same amount does. */
  async chargeToll() {
    const { gate, stay } = this;
    const body = { id: newId(), amount_vnd: stay.due_vnd, quote: stay.quote };
    const charged = await gate.attempt(() => gate.hub.post(this.path("/toll-charges"), body));
    if (!charged || charged.status === "charged") return this.readAgain();
    await this.#showBill(charged.bill);
    return gate.screens.complain(gate.say(`toll.${charged.status}`));
  }

  async #showBill(bill) {
    const { gate } = this;
    const path = `/gate/lots/${gate.lot.id}/bills/${bill.id}/code`;
    const picture = await gate.attempt(() => gate.hub.get(path, { as: "text" }));
    if (picture === null) return this.readAgain();
    return this.#showCode(document.createRange().createContextualFragment(picture), bill.reference, bill.missing_vnd);
  }

  #showCode(picture, reference, amountVnd) {
    const isOwn = Boolean(this.stay.is_offline);
    this.code.querySelector("[data-plate]").textContent = this.plate;
    this.code.querySelector("[data-amount]").textContent = vnd(amountVnd);
    for (const one of this.code.querySelectorAll("[data-reference]")) one.textContent = reference;
    this.code.querySelector("[data-code]").replaceChildren(picture);
    this.code.querySelector("[data-code-waiting]").hidden = isOwn;
    for (const one of this.code.querySelectorAll("[data-code-own]")) one.hidden = !isOwn;
    this.gate.screens.show("code");
  }

  /** Record what was taken without a bill; null where the hub refused. */
  collect(stay, rail, more = {}) {
    const { hub, offline } = this.gate;
    const money = rail === "cash" || rail === "float" ? { amount_vnd: stay.due_vnd, quote: stay.quote } : {};
    const post = (id) => hub.post(this.path("/collections", stay), { id, rail, ...money, ...more });
    return this.gate.attempt(() => offline.collect(stay, post));
  }

  async takeCash() {
    const { stay } = this;
    if (stay.is_offline) return this.#takeCashOffline();
    const taken = await this.collect(stay, "cash");
    if (!taken) return this.readAgain();
    return this.afterTaking(taken, this.gate.say("paid.cash", { number: taken.receipt_number }));
  }

  /** Something was taken by a tap: say so, and let the tap be taken back. */
  async afterTaking(taken, detail) {
    const { gate } = this;
    const { stay } = this;
    const found = await this.read(stay.id, { quiet: true });
    // Without an answer it stays the stay that the hub showed, and that has been paid since.
    this.stay = found && !found.is_offline ? found : { ...stay, due_vnd: 0, paid_vnd: stay.paid_vnd + taken.amount_vnd };
    const undo = () =>
      this.#alone(async () => {
        const back = await gate.attempt(() => gate.hub.post(this.path(`/collections/${taken.id}/reverse`)));
        if (!back) return;
        await gate.offline.note(stay); // as it was before
        await this.readAgain();
      });
    const printing = { words: gate.say("paid.print"), icon: "print", name: "print", run: () => this.ways.print(`receipts/${taken.id}`) };
    const right = { pass: "due.pass", exempt: "due.exempt" }[taken.rail]; // no money came
    this.showPaid(right ? null : taken.amount_vnd, detail, [
      { words: gate.say("undo", { seconds: UNDO_MS / 1000 }), icon: "replay", name: "undo", run: undo },
      ...(taken.receipt_number ? [printing] : []),
    ], right);
    this.#countDown();
  }

  /** News of the lot: this stay was paid, here or on another phone. */
  async receivePaid({ session_id: sessionId }) {
    if (!["stay", "code"].includes(this.gate.screens.name)) return;
    const shown = [this.stay, ...(this.stay.arrears ?? [])].map(({ id }) => id);
    if (shown.includes(sessionId)) await this.readAgain();
  }

  /** The line was away: what came meanwhile was not received. */
  async lookAgain() {
    if (this.gate.screens.name === "code") await this.readAgain();
  }

  async readAgain() {
    const before = this.stay;
    const stay = this.debts.isOpen ? await this.debts.read(before.id) : await this.read(before.id, { quiet: true });
    if (before.id !== this.stay.id) return;
    if (stay?.is_gone) return this.debts.giveUp();
    if (!stay || !(this.debts.isOpen || IS_INSIDE.includes(stay.status))) return;
    const paidVnd = stay.paid_vnd - before.paid_vnd;
    if (!stay.due_vnd && paidVnd > 0) {
      this.stay = stay;
      this.showPaid(paidVnd);
    } else if (this.gate.screens.name !== "code" || stay.due_vnd !== before.due_vnd) {
      this.show(stay);
    }
  }

  /** The money is here: green, and the gate. */
  showPaid(amountVnd, detail = "", actions = [], title = "paid.title") {
    const { gate, stay } = this;
    const { say } = gate;
    buzz("paid");
    const leave = { words: say("leave.send"), icon: "leave", look: "main", name: "leave", run: () => this.leave() };
    const until = stay.paid_until ? say("due.until", { at: say.at(stay.paid_until) }) : "";
    gate.screens.verdict({
      tone: "good",
      icon: "check",
      title: say(this.debts.isOpen ? "debt.paid" : title),
      plate: this.plate,
      amountVnd,
      detail: [detail, until].filter(Boolean).join(" · "),
      actions: [...actions, this.debts.isOpen ? this.debts.goOn() : leave],
    });
  }

  /** Let the vehicle out; for ten seconds it can be undone. */
  leave(more = {}) {
    return this.#alone(() => this.#leave(more));
  }

  /** Do one of what excludes the other: a payment is not taken back while its vehicle leaves. */
  async #alone(work) {
    if (this.#isUnderWay) return undefined;
    this.#isUnderWay = true;
    try {
      return await work();
    } finally {
      this.#isUnderWay = false;
    }
  }

  async #leave(more) {
    const { gate, stay } = this;
    if (stay.is_offline) return this.#leaveOffline(more);
    const body = { ...(this.seenPlate && { plate: this.seenPlate }), ...this.photo.facts(), ...more };
    const left = await gate.attempt(() => gate.hub.post(this.path("/exit"), body), {
      instead: {
        plate_differs: () => this.ways.comparePlates(more),
        photo_used: () => this.photo.drop("photo_used"),
        photo_not_found: () => this.photo.drop("photo_not_found"),
        ...(gate.queue.isReady && !stay.due_vnd && { no_network: () => this.#leaveOffline(more) }),
      },
    });
    if (!left) return undefined;
    await this.photo.attach(stay, this.plate);
    gate.offline.forget(stay.id);
    buzz(left.arrears_vnd ? "unpaid" : "left");
    const undo = async () => {
      const back = await gate.attempt(() => gate.hub.post(this.path("/exit/undo", stay)));
      if (back) await this.open(stay.id);
    };
    gate.screens.verdict({
      tone: left.arrears_vnd ? "attention" : "good",
      icon: left.arrears_vnd ? "warning" : "check",
      title: gate.say("leave.done"),
      plate: this.plate,
      detail: gate.say(`leave.${left.reason}`, { amount: vnd(left.arrears_vnd) }),
      actions: [
        { words: gate.say("undo", { seconds: UNDO_MS / 1000 }), icon: "replay", name: "undo", run: undo },
        ...gate.lanes.actions("out", stay),
        { words: gate.say("next"), icon: "search", look: "main", name: "next", run: () => gate.screens.show("find") },
      ],
    });
    this.#countDown();
    return gate.readCount();
  }

  #countDown() {
    const undo = this.gate.screens.of("verdict").querySelector("[data-action=undo]");
    const end = performance.now() + UNDO_MS;
    clearInterval(this.#countdown);
    this.#countdown = setInterval(() => {
      const seconds = Math.max(0, Math.ceil((end - performance.now()) / 1000));
      undo.lastElementChild.textContent = this.gate.say("undo", { seconds });
      if (seconds > 0) return;
      undo.disabled = true;
      clearInterval(this.#countdown);
    }, 500);
  }
}
