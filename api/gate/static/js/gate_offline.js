// Work at the gate without a network: vehicles that this phone knows, their prices by the tariffs that
// it keeps, cash and exits that are kept until they can be sent.

import { hubNow } from "/static/js/hub_clock.js";
import { newId } from "/static/js/gate_hub.js";
import { endOf } from "/static/js/gate_passes.js";
import { graceOf, priceOf, withLostTicket } from "/static/js/gate_price.js";
import { all, changeFact, clear, put, read, readFact, remove } from "/static/js/gate_store.js";
import { numberOf } from "/static/js/gate_ticket.js";
import { compactPlate, drawPlate } from "/static/js/gate_words.js";

const STAYS_MAX = 3000;
const SHIFTS_KEPT = 30; // whose limits are counted: several people share a phone
const TAIL = 3;

export class Offline {
  #refreshing = Promise.resolve();

  constructor(gate) {
    this.gate = gate;
    this.posted = {};
    this.isErased = false; // the phone was revoked: it keeps nothing of the lot any longer
  }

  /** Keep what the lot takes, who came last and who has a pass, while there is a network. */
  refresh() {
    // One after the other: what came in meanwhile the one under way may have missed.
    const next = this.#refreshing.then(() => this.#refresh());
    this.#refreshing = next.catch(() => {});
    return next;
  }

  async #refresh() {
    const { gate } = this;
    if (!gate.queue.isReady || this.isErased) return;
    await this.#keepFor(gate.lot.id);
    const path = `/gate/lots/${gate.lot.id}`;
    const found = await gate.attempt(() => gate.hub.get(`${path}/posted`), { quiet: true });
    if (found) await put("facts", found, "posted");
    this.posted = (await readFact("posted")) ?? {};
    const inside = await gate.attempt(() => gate.hub.get(`${path}/inside?q=`), { quiet: true });
    for (const stay of inside?.stays ?? []) await this.remember(stay);
    await gate.passes.refresh();
  }

  /** What was kept of another lot, where this phone was enrolled before, is nobody's here. */
  async #keepFor(lotId) {
    const before = await readFact("lot_id");
    if (before === lotId) return;
    if (before) await this.#clear();
    await put("facts", lotId, "lot_id");
  }

  /** The phone is no device of the lot any longer: whose vehicles are inside, or have a pass, goes. */
  async erase() {
    this.isErased = true;
    await this.#clear();
  }

  async #clear() {
    await this.gate.passes.erase();
    await clear("stays");
  }

  /** Remember a vehicle inside, with what was paid for it; what is oldest gives way. */
  async remember({ id, vehicle_class, plate, ticket, entered_at, settled_vnd: settled = null, ...more }) {
    const { queue } = this.gate;
    if (!queue.isReady || this.isErased) return;
    const before = await read("stays", id);
    const pass = await this.#passOf(more, before);
    const own = before?.paid_vnd ?? 0;
    // What was taken without a network and is not sent yet only the phone knows.
    const paid = settled === null || (await queue.unsent()) ? Math.max(own, settled ?? 0) : settled;
    const code = before?.code && { code: before.code };
    await put("stays", { id, vehicle_class, plate, ticket, entered_at, ...pass, paid_vnd: paid, ...code });
    const known = await all("stays");
    if (known.length > STAYS_MAX) await remove("stays", known[0].id); // ids rise with time
  }

  /** The pass of a stay: as the hub says, or as the phone's list did; its last day may have moved. */
  async #passOf({ is_pass: isPass = false, pass_id: id, pass: listed = null }, before) {
    if (!isPass) return { is_pass: false };
    if (listed) return { is_pass: true, pass_id: listed.id, pass: listed };
    const known = await this.gate.passes.get(id);
    const kept = before?.pass_id === id ? before.pass : null;
    return { is_pass: true, pass_id: id, pass: known ?? (kept && { ...kept, listed_at: null }) };
  }

  /** Note what the hub says that was paid for a vehicle: nobody asks for it again without a network. */
  async notePaid(sessionId, settledVnd, { billId = null } = {}) {
    if (!this.gate.queue.isReady) return;
    const known = await read("stays", sessionId);
    if (!known) return;
    const { code, ...rest } = known;
    const isPaid = code?.id === billId;
    await put("stays", { ...rest, ...(code && !isPaid && { code }), paid_vnd: Math.max(known.paid_vnd, settledVnd) });
  }

  async forget(sessionId) {
    if (this.gate.queue.isReady) await remove("stays", sessionId);
  }

  /** Find among the vehicles that this phone knows. */
  async find(wanted) {
    if (!this.gate.queue.isReady) return null;
    const text = compactPlate(wanted);
    const isTail = /^\d{1,4}$/.test(text);
    const known = (await all("stays")).reverse();
    const stays = known.filter(({ plate, ticket }) => {
      if (!text || ticket === wanted.toUpperCase()) return true;
      const digits = compactPlate(plate ?? "");
      return isTail ? text.length >= TAIL && digits.endsWith(text) : digits === text;
    });
    return { stays: stays.slice(0, 50).map((one) => ({ ...one, photo: null, found_by: "last_digits" })) };
  }

  /** A vehicle that this phone knows to be inside by the same plate or number, or null. */
  async findInside({ id, vehicle_class: className, plate, ...entry }) {
    const number = numberOf(entry);
    const known = (await all("stays")).filter((one) => one.id !== id);
    const isSame = (one) =>
      (plate && one.vehicle_class === className && compactPlate(one.plate ?? "") === plate) || (number && one.ticket === number);
    return known.find(isSame) ?? null;
  }

  /** A stay with its provisional price, as the hub would answer; null where it is not known. */
  async read(sessionId, { isTicketLost = false } = {}) {
    if (!this.gate.queue.isReady) return null;
    const known = await read("stays", sessionId);
    if (!known) return null;
    this.posted = (await readFact("posted")) ?? {};
    const coveredUntil = await this.#coveredUntil(known);
    const isCovered = hubNow() < coveredUntil;
    const stayVnd = isCovered ? 0 : this.#price(chargedFrom(known, coveredUntil));
    if (stayVnd === null) return null;
    const isLost = isTicketLost || Boolean(known.is_ticket_lost);
    const priceVnd = isLost ? withLostTicket(this.posted.rates, known, stayVnd) : stayVnd;
    const isInGrace = hubNow() <= (known.paid_until ?? 0); // cash was taken: there is time to leave
    const dueVnd = isInGrace ? 0 : Math.max(0, priceVnd - known.paid_vnd);
    return {
      ...known,
      status: "inside",
      photo: null,
      pass_id: known.is_pass ? (known.pass_id ?? "known") : null,
      is_exempt: known.pass?.kind === "exempt",
      is_offline: true,
      due_vnd: dueVnd,
      price_vnd: priceVnd,
      paid_until: null,
      is_ticket_lost: isLost,
      lines: [
        { words: isCovered ? this.sayPass(known.pass) : this.gate.say("offline.provisional"), amount_vnd: stayVnd },
        ...(isLost ? [{ words: this.gate.say("ways.lost"), amount_vnd: priceVnd - stayVnd }] : []),
      ],
      quote: null,
      arrears: [],
    };
  }

  /** Until when a pass covers a stay, in milliseconds; without one, never. */
  async #coveredUntil({ is_pass: isPass, pass_id: id, pass }) {
    if (!isPass) return -Infinity;
    const until = ((await this.gate.passes.get(id)) ?? pass)?.valid_until;
    return until ? endOf(until) : Infinity;
  }

  /** "Vé tháng (theo danh sách lúc 14:05)"; where the hub knew of it, "Vé tháng". */
  sayPass(pass) {
    const { say } = this.gate;
    const name = pass?.kind === "exempt" ? "exempt" : "pass";
    if (!pass?.listed_at) return say(`due.${name}`);
    return say(`offline.${name}`, { at: say.at(new Date(pass.listed_at).toISOString()) });
  }

  /** By the tariff that held when it came in, until now; null where the phone does not know it. */
  #price(stay) {
    return priceOf(this.posted.rates, stay, hubNow());
  }

  /** Let a vehicle in; it is known from now on. Returns its pass by the list, or null. */
  async enter(entry, written) {
    const pass = await this.gate.passes.find(entry);
    await this.gate.queue.keep("entry", entry, written || numberOf(entry));
    const isTwoWheeled = /motorbike/.test(entry.vehicle_class);
    await this.remember({
      ...entry,
      plate: entry.plate ? drawPlate(entry.plate, isTwoWheeled) : null,
      ticket: numberOf(entry) ?? null,
      entered_at: new Date(hubNow()).toISOString(),
      ...(pass && !pass.isInUse && { is_pass: true, pass }),
    });
    return pass;
  }

  /** Take cash, up to the lot's limit for a shift; false where it is used up. */
  async takeCash(stay) {
    const { gate } = this;
    if (!(await this.#use("cash_vnd", stay.due_vnd, gate.lot.offline_cash_max_vnd))) return false;
    const data = { ...this.#who(), id: newId(), session_id: stay.id, shift_id: gate.shift.id, rail: "cash", amount_vnd: stay.due_vnd, ...lostOf(stay) };
    await gate.queue.keep("collection", data, stay.plate ?? stay.ticket);
    // The hub cancels a code that cash was taken instead of: what is due later has one of its own.
    const { status, is_offline, due_vnd, lines, code, ...known } = stay;
    const paidUntil = hubNow() + graceOf(this.posted.rates, stay) * 60_000;
    await put("stays", { ...known, paid_vnd: stay.paid_vnd + stay.due_vnd, paid_until: paidUntil });
    return true;
  }

  /** Let a vehicle out; without its payment it counts against the lot's limit for a shift. */
  async leave(stay, reason = "", more = {}) {
    const { gate } = this;
    const isUnconfirmed = stay.due_vnd > 0 && !more.forced;
    if (isUnconfirmed && !(await this.#use("unconfirmed", 1, gate.lot.unconfirmed_exits_max))) return false;
    const data = { staff_id: gate.state.person.id, session_id: stay.id, ...(isUnconfirmed && { forced: "unconfirmed", reason }), ...more, ...lostOf(stay) };
    await gate.queue.keep("exit", data, stay.plate ?? stay.ticket);
    await this.forget(stay.id);
    return true;
  }

  #who() {
    return { staff_id: this.gate.state.person.id };
  }

  async #use(name, amount, max) {
    const shiftId = this.gate.shift.id;
    let isAllowed = false;
    await changeFact("used_by_shift", (before = []) => {
      const used = before.find((one) => one.shift_id === shiftId) ?? { shift_id: shiftId, cash_vnd: 0, unconfirmed: 0 };
      isAllowed = used[name] + amount <= max;
      if (!isAllowed) return before;
      const others = before.filter((one) => one.shift_id !== shiftId);
      return [{ ...used, [name]: used[name] + amount }, ...others].slice(0, SHIFTS_KEPT);
    });
    if (!isAllowed) this.gate.screens.complain(this.gate.say("offline.limit"));
    return isAllowed;
  }
}

/** A stay as it is priced that began on a pass: as if it had begun when that ended. */
function chargedFrom(stay, coveredUntil) {
  const from = Math.max(Date.parse(stay.entered_at), coveredUntil);
  return { ...stay, entered_at: new Date(from).toISOString() };
}

/** What a movement says of a stay whose ticket is lost. */
export function lostOf({ is_ticket_lost: isTicketLost }) {
  return isTicketLost ? { is_ticket_lost: true } : {};
}
