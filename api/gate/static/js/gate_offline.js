// Work at the gate without a network: vehicles that this phone knows, their prices by the tariffs that
// it keeps, cash and exits that are kept until they can be sent.

import { hubNow } from "/static/js/hub_clock.js";
import { Collecting } from "/static/js/gate_collecting.js";
import { APPLIED_WITHIN_MS, isHubBehind, mergeShown, mergeStay } from "/static/js/gate_known.js";
import { endOf, hanoiDay } from "/static/js/gate_passes.js";
import { graceOf, priceOf, withLostTicket } from "/static/js/gate_price.js";
import { all, changeAll, changeFact, changeOne, clear, count, put, read, readFact, remove } from "/static/js/gate_store.js";
import { numberOf } from "/static/js/gate_ticket.js";
import { compactPlate, drawPlate } from "/static/js/gate_words.js";

const STAYS_MAX = 3000;
const SHIFTS_KEPT = 30; // whose limits are counted: several people share a phone
const TAIL = 3;
const GONE_KEPT = 500;

export class Offline {
  #refreshing = Promise.resolve();
  #gone = new Map(); // who went out, and when: what the hub said before does not bring them back

  constructor(gate) {
    this.gate = gate;
    this.collecting = new Collecting(gate);
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
    await this.#refreshInside(path);
    await gate.passes.refresh();
  }

  /** Know who is inside as the hub does, but for what it has not been told yet. */
  async #refreshInside(path) {
    const { gate } = this;
    const { queue } = gate;
    if (await queue.unsent()) await queue.flush();
    const [before, unsentBefore] = [await all("stays"), await queue.listStays()];
    const inside = await gate.attempt(() => gate.hub.get(`${path}/inside?q=`), { quiet: true });
    if (!inside || this.isErased) return;
    const [unsent, list] = [await queue.listStays(), await gate.passes.read()];
    const listed = new Set(inside.stays.map(({ id }) => id));
    const oldest = inside.is_complete ? "" : (inside.stays.at(-1)?.id ?? ""); // before it nobody was listed
    const isOver = ({ id }) => !listed.has(id) && id > oldest && !unsentBefore.has(id) && !unsent.has(id);
    const over = before.filter(isOver).map(({ id }) => id);
    await changeAll("stays", (known) => {
      const byId = new Map(known.map((one) => [one.id, one]));
      const isIn = ({ id }) => !this.#isGone(id) && !unsent.get(id)?.has("exit");
      const merge = (stay) => mergeStay(stay, byId.get(stay.id), { list, isHubBehind: isHubBehind(byId.get(stay.id), unsent) });
      return { kept: inside.stays.filter(isIn).map(merge), dropped: over };
    });
  }

  #isGone(id) {
    return hubNow() - (this.#gone.get(id) ?? -Infinity) < APPLIED_WITHIN_MS;
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
  async remember(stay) {
    const { queue, passes } = this.gate;
    if (!queue.isReady || this.isErased) return;
    const [unsent, list] = [await queue.listStays(), await passes.read()];
    await changeOne("stays", stay.id, (before) => mergeStay(stay, before, { list, isHubBehind: isHubBehind(before, unsent) }));
    if ((await count("stays")) <= STAYS_MAX) return;
    const [oldest] = await all("stays", 1); // ids rise with time
    await remove("stays", oldest.id);
  }

  /** Note what the hub says of a vehicle that is known here. */
  async note(stay) {
    if (!this.gate.queue.isReady) return;
    const unsent = await this.gate.queue.listStays();
    if (stay.status === "inside") this.#gone.delete(stay.id); // its exit was taken back
    await changeOne("stays", stay.id, (before) => before && mergeShown(stay, before, isHubBehind(before, unsent)));
  }

  /** Note what the hub says that was paid for a vehicle: nobody asks for it again without a network. */
  async notePaid(sessionId, settledVnd, { billId = null } = {}) {
    if (!this.gate.queue.isReady) return;
    await changeOne("stays", sessionId, (known) => {
      if (!known) return null;
      const { code, ...rest } = known;
      const isPaid = code?.id === billId;
      return { ...rest, ...(code && !isPaid && { code }), paid_vnd: Math.max(known.paid_vnd, settledVnd), noted_at: hubNow() };
    });
  }

  /** Collect with the hub; what it recorded is paid here, too, whatever becomes of the line. */
  async collect(stay, post) {
    const taken = await this.collecting.under(stay.id, post);
    if (!this.gate.queue.isReady) return taken;
    const paidUntil = hubNow() + (await this.#grace(stay));
    await changeOne("stays", stay.id, (known) => {
      if (!known) return null;
      if (taken.rail === "pass") return { ...known, is_pass: true, pass_id: taken.pass_id };
      const paidVnd = stay.paid_vnd + (taken.rail === "exempt" ? stay.due_vnd : taken.amount_vnd);
      return { ...known, paid_vnd: Math.max(known.paid_vnd, paidVnd), paid_until: paidUntil };
    });
    return taken;
  }

  async #grace(stay) {
    const { rates } = (await readFact("posted")) ?? {};
    return graceOf(rates, chargedFrom(stay, await this.#coveredUntil(stay))) * 60_000;
  }

  async forget(sessionId) {
    this.#gone.set(sessionId, hubNow());
    if (this.#gone.size > GONE_KEPT) this.#gone.delete(this.#gone.keys().next().value);
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
    this.gate.queue.catchUp();
    this.posted = (await readFact("posted")) ?? {};
    const coveredUntil = await this.#coveredUntil(known);
    const isCovered = hubNow() < coveredUntil;
    // On its pass it is priced as it came in; after that as if it had come when the pass ended.
    const charged = isCovered ? known : chargedFrom(known, coveredUntil);
    const stayVnd = isCovered ? 0 : priceOf(this.posted.rates, charged, hubNow());
    if (stayVnd === null) return null;
    const isLost = isTicketLost || Boolean(known.is_ticket_lost);
    const priceVnd = isLost ? withLostTicket(this.posted.rates, charged, stayVnd) : stayVnd;
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
        ...(known.is_pass_unsure ? [{ words: this.gate.say("offline.pass_unsure"), amount_vnd: 0 }] : []),
        ...(isLost ? [{ words: this.gate.say("ways.lost"), amount_vnd: priceVnd - stayVnd }] : []),
      ],
      quote: null,
      arrears: [],
    };
  }

  /** Until when a pass covers a stay, in milliseconds; without one, never. */
  async #coveredUntil({ is_pass: isPass, pass_id: id, pass, pass_until: saidUntil, entered_at: enteredAt }) {
    if (!isPass) return -Infinity;
    const until = (await this.gate.passes.get(id))?.valid_until ?? saidUntil ?? pass?.valid_until;
    return endOf(until ?? hanoiDay(Date.parse(enteredAt))); // of an unknown pass the day that it held
  }

  /** "Vé tháng (theo danh sách lúc 14:05)"; where the hub knew of it, "Vé tháng". */
  sayPass(pass) {
    const { say } = this.gate;
    const name = pass?.kind === "exempt" ? "exempt" : "pass";
    if (!pass?.listed_at) return say(`due.${name}`);
    return say(`offline.${name}`, { at: say.at(new Date(pass.listed_at).toISOString()) });
  }

  /** Let a vehicle in; it is known from now on. Returns its pass by the list, and what is said of it. */
  async enter(entry, written) {
    const pass = await this.gate.passes.find(entry);
    this.gate.queue.catchUp();
    const isUnsure = !pass && Boolean(entry.plate) && (await this.gate.passes.read())?.isComplete === false;
    await this.gate.queue.keep("entry", entry, written || numberOf(entry));
    const isTwoWheeled = /motorbike/.test(entry.vehicle_class);
    await this.remember({
      ...entry,
      plate: entry.plate ? drawPlate(entry.plate, isTwoWheeled) : null,
      ticket: numberOf(entry) ?? null,
      entered_at: new Date(hubNow()).toISOString(),
      ...(pass && !pass.isInUse && { is_pass: true, pass }),
      ...(isUnsure && { is_pass_unsure: true }),
    });
    return { pass, about: this.#sayAbout(pass, isUnsure) };
  }

  #sayAbout(pass, isUnsure) {
    if (!pass) return isUnsure ? this.gate.say("offline.pass_unsure") : "";
    return pass.isInUse ? this.gate.say("offline.pass_in_use") : this.sayPass(pass);
  }

  /** Take cash, up to the lot's limit for a shift; false where it is used up. */
  async takeCash(stay) {
    const { gate } = this;
    if (!(await this.#use("cash_vnd", stay.due_vnd, gate.lot.offline_cash_max_vnd))) return false;
    const id = await this.collecting.idOf(stay.id); // of a tap whose answer was lost: the same
    const data = { ...this.#who(), id, session_id: stay.id, shift_id: gate.shift.id, rail: "cash", amount_vnd: stay.due_vnd, ...lostOf(stay) };
    await gate.queue.keep("collection", data, stay.plate ?? stay.ticket);
    await this.collecting.settle(stay.id);
    const paid = { paid_vnd: stay.paid_vnd + stay.due_vnd, paid_until: hubNow() + (await this.#grace(stay)), noted_at: hubNow() };
    // The hub cancels a code that cash was taken instead of: what is due later has one of its own.
    await changeOne("stays", stay.id, ({ code, ...known } = {}) => known.id && { ...known, ...paid, ...lostOf(stay) });
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
