// Work at the gate without a network: vehicles that this phone knows, their prices by the tariffs that
// it keeps, cash and exits that are kept until they can be sent.

import { hubNow } from "/static/js/hub_clock.js";
import { newId } from "/static/js/gate_hub.js";
import { graceOf, priceOf, withLostTicket } from "/static/js/gate_price.js";
import { all, changeFact, put, read, readFact, remove } from "/static/js/gate_store.js";
import { compactPlate, drawPlate } from "/static/js/gate_words.js";

const STAYS_MAX = 3000;
const TAIL = 3;

export class Offline {
  constructor(gate) {
    this.gate = gate;
    this.posted = {};
  }

  /** Keep what the lot takes and who came last, while there is a network. */
  async refresh() {
    const { gate } = this;
    if (!gate.queue.isReady) return;
    const path = `/gate/lots/${gate.lot.id}`;
    const found = await gate.attempt(() => gate.hub.get(`${path}/posted`), { quiet: true });
    if (found) await put("facts", found, "posted");
    this.posted = (await readFact("posted")) ?? {};
    const inside = await gate.attempt(() => gate.hub.get(`${path}/inside?q=`), { quiet: true });
    for (const stay of inside?.stays ?? []) await this.remember(stay);
  }

  /** Remember a vehicle inside, with what was paid for it; what is oldest gives way. */
  async remember({ id, vehicle_class, plate, ticket, entered_at, is_pass = false, settled_vnd: settled = null }) {
    const { queue } = this.gate;
    if (!queue.isReady) return;
    const before = await read("stays", id);
    const own = before?.paid_vnd ?? 0;
    // What was taken without a network and is not sent yet only the phone knows.
    const paid = settled === null || (await queue.unsent()) ? Math.max(own, settled ?? 0) : settled;
    const code = before?.code && { code: before.code };
    await put("stays", { id, vehicle_class, plate, ticket, entered_at, is_pass, paid_vnd: paid, ...code });
    const known = await all("stays");
    if (known.length > STAYS_MAX) await remove("stays", known[0].id); // ids rise with time
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

  /** A stay with its provisional price, as the hub would answer; null where it is not known. */
  async read(sessionId, { isTicketLost = false } = {}) {
    if (!this.gate.queue.isReady) return null;
    const known = await read("stays", sessionId);
    if (!known) return null;
    this.posted = (await readFact("posted")) ?? {};
    const stayVnd = known.is_pass ? 0 : this.#price(known);
    if (stayVnd === null) return null;
    const isLost = isTicketLost || Boolean(known.is_ticket_lost);
    const priceVnd = isLost ? withLostTicket(this.posted.rates, known, stayVnd) : stayVnd;
    const isInGrace = hubNow() <= (known.paid_until ?? 0); // cash was taken: there is time to leave
    const dueVnd = isInGrace ? 0 : Math.max(0, priceVnd - known.paid_vnd);
    return {
      ...known,
      status: "inside",
      photo: null,
      pass_id: known.is_pass ? "known" : null,
      is_exempt: false,
      is_offline: true,
      due_vnd: dueVnd,
      price_vnd: priceVnd,
      paid_until: null,
      is_ticket_lost: isLost,
      lines: [
        { words: this.gate.say("offline.provisional"), amount_vnd: stayVnd },
        ...(isLost ? [{ words: this.gate.say("ways.lost"), amount_vnd: priceVnd - stayVnd }] : []),
      ],
      quote: null,
      arrears: [],
    };
  }

  /** By the tariff that held when it came in, until now; null where the phone does not know it. */
  #price(stay) {
    return priceOf(this.posted.rates, stay, hubNow());
  }

  /** Let a vehicle in; it is known from now on. */
  async enter(entry, written) {
    await this.gate.queue.keep("entry", entry, written || entry.ticket);
    const isTwoWheeled = /motorbike/.test(entry.vehicle_class);
    await this.remember({
      ...entry,
      plate: entry.plate ? drawPlate(entry.plate, isTwoWheeled) : null,
      ticket: entry.ticket ?? null,
      entered_at: new Date(hubNow()).toISOString(),
    });
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
    const isUnconfirmed = stay.due_vnd > 0;
    if (isUnconfirmed && !(await this.#use("unconfirmed", 1, gate.lot.unconfirmed_exits_max))) return false;
    const data = { staff_id: gate.state.person.id, session_id: stay.id, ...(isUnconfirmed && { forced: "unconfirmed", reason, ...more }) };
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
    await changeFact("used", (before) => {
      const used = before?.shift_id === shiftId ? before : { shift_id: shiftId, cash_vnd: 0, unconfirmed: 0 };
      isAllowed = used[name] + amount <= max;
      return isAllowed ? { ...used, [name]: used[name] + amount } : used;
    });
    if (!isAllowed) this.gate.screens.complain(this.gate.say("offline.limit"));
    return isAllowed;
  }
}

/** What a movement says of a stay whose ticket is lost. */
export function lostOf({ is_ticket_lost: isTicketLost }) {
  return isTicketLost ? { is_ticket_lost: true } : {};
}
