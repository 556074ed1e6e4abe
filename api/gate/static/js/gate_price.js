// The price of a stay by the plan of a tariff (parking/tariffs/plan.py), for when there is no network.
// It walks as parking/tariffs/charges.py does; tests/browser/test_gate_prices.py holds both together.
// Moments are minutes of Hà Nội's clock since 1970: no clock of Việt Nam is ever set back.

const HANOI_MINUTES = 7 * 60;
const DAY = 24 * 60;
const STAY_MAX = 366 * DAY;

/** What a stay costs, by what the lot took when it came in; null where that is not known here. */
export function priceOf(rates, stay, leftMs) {
  const plan = planOf(rates, stay);
  if (!plan) return null;
  const entered = localMinute(Date.parse(stay.entered_at));
  const left = Math.max(localMinute(leftMs), entered + 1);
  return left - entered > STAY_MAX ? null : priceStay(plan, entered, left);
}

/** The same without its ticket, of which it is known what it costs with it. */
export function withLostTicket(rates, stay, stayVnd) {
  const lost = planOf(rates, stay)?.lost_ticket;
  if (!lost) return stayVnd;
  if (lost.rule === "instead") return lost.amount_vnd;
  return lost.rule === "at_least" ? Math.max(stayVnd, lost.amount_vnd) : stayVnd + lost.amount_vnd;
}

/** How many minutes there are to leave in after paying. */
export function graceOf(rates, stay) {
  return planOf(rates, stay)?.grace_minutes ?? 0;
}

function planOf(rates, { vehicle_class: vehicleClass, entered_at: enteredAt }) {
  const entered = Date.parse(enteredAt);
  return rates?.findLast(({ from_at: from }) => Date.parse(from) <= entered)?.plans[vehicleClass];
}

function priceStay(plan, entered, left) {
  if (plan.free_minutes && left - entered <= plan.free_minutes) return 0;
  const begin = plan.is_rest_only ? entered + plan.free_minutes : entered;
  const sum = new Walk(plan, begin).sum(left);
  if (sum === null || sum === undefined) return sum ?? 0;
  return round(plan, Math.max(sum, plan.minimum_vnd));
}

function round({ rounding, step_vnd: step }, vnd) {
  if (rounding === "up") return Math.ceil(vnd / step) * step;
  return Math.floor((rounding === "nearest" ? vnd + Math.floor(step / 2) : vnd) / step) * step;
}

function localMinute(ms) {
  return Math.floor(ms / 60_000) + HANOI_MINUTES;
}

function modulo(value, whole) {
  return ((value % whole) + whole) % whole;
}

/** The way through a stay: from window to window, from period to period. */
class Walk {
  #periods = new Map(); // by collection: the period it is in
  #used = new Map(); // by ladder: how many minutes of it are over
  #sums = new Map(); // by collection and period: what is charged in it
  #carried = 0; // minutes of the ladder that another table was on
  #tableEnd = null;

  constructor(plan, begin) {
    this.plan = plan;
    this.begin = begin;
    this.now = begin;
  }

  /** What is charged before an end; undefined: nothing, null: a day or a rate is not known. */
  sum(left) {
    this.left = left;
    this.table = this.#find(this.begin) ?? null;
    if (this.table === null) return null;
    while (this.now < left) {
      if (!this.#advance()) return null;
    }
    if (!this.#sums.size) return undefined;
    let sum = 0;
    for (const { vnd, capVnd } of this.#sums.values()) sum += capVnd === null ? vnd : Math.min(vnd, capVnd);
    return sum;
  }

  /** The table for a stay or a period that begins at a minute; null: none fits, undefined: not known. */
  #find(minute) {
    const { days, picks, first_day: firstDay } = this.plan;
    const pick = days.length ? days[Math.floor(minute / DAY) - firstDay] : 0;
    if (pick === undefined) return undefined;
    return picks[pick].find(([end]) => modulo(minute, DAY) < end)[1];
  }

  /** The same, where a stay that goes on keeps its table if none fits. */
  #found(minute) {
    const found = this.#find(minute);
    return found === null ? this.table : found;
  }

  #advance() {
    const { plan, now } = this;
    if (this.#tableEnd === null || now >= this.#tableEnd) {
      if (this.#tableEnd !== null) this.table = this.#found(now);
      this.#tableEnd = this.#endOfTable(now);
    }
    if (this.table === undefined) return false;
    const [start, length, ladder] = plan.tables[this.table].find(([from, long]) => modulo(now - from, DAY) < long);
    let end = this.#tableEnd;
    if (length < DAY) end = Math.min(end, now + length - modulo(now - start, DAY));
    if (ladder === null) {
      [this.now, this.#carried] = [end, 0];
      return true;
    }
    const collection = plan.collections[plan.ladders[ladder].collection];
    const [period, periodEnd] = this.#periodOf(collection, now);
    const other = this.#otherTable(ladder, period);
    if (other === undefined) return false;
    if (other !== this.table) {
      [this.table, this.#tableEnd, this.#carried] = [other, null, 0];
      return true;
    }
    end = Math.min(end, periodEnd);
    this.#climb(ladder, period, end);
    this.#carried = end === this.#tableEnd && end !== periodEnd ? this.#used.get(ladder) : 0;
    return true;
  }

  /** When another table begins to hold by the clock; not before the stay's end is enough. */
  #endOfTable(minute) {
    if (!this.plan.is_by_clock || !this.plan.days.length) return Infinity;
    for (let midnight = minute - modulo(minute, DAY) + DAY; ; midnight += DAY) {
      const found = this.#find(midnight);
      if (midnight >= this.left || (found !== this.table && found !== null)) return midnight;
    }
  }

  #periodOf({ reset_after: after, reset_time: time }, now) {
    if (after !== null) {
      const period = Math.floor((now - this.begin) / after);
      return [period, this.begin + (period + 1) * after];
    }
    if (time === null) return [0, Infinity];
    const period = Math.floor((now - time) / DAY);
    return [period, (period + 1) * DAY + time];
  }

  /** Enter the period of a cap; where it is a new one, the day's table is found anew. */
  #otherTable(ladder, period) {
    const { ladders, is_by_clock: isByClock } = this.plan;
    const { collection } = ladders[ladder];
    const known = this.#periods.get(collection) ?? period;
    this.#periods.set(collection, period);
    if (known === period) return this.table;
    ladders.forEach((one, index) => one.collection === collection && this.#used.delete(index));
    if (isByClock) return this.table;
    return this.#found(this.now);
  }

  /** Charge what one ladder asks for until `end`, or until its last block is finished. */
  #climb(ladder, period, end) {
    const { plan } = this;
    const { collection, lines } = plan.ladders[ladder];
    let { now } = this;
    let position = this.#carried;
    if (!plan.collections[collection].restarts) position = Math.max(position, this.#used.get(ladder) ?? 0);
    for (const [lineStart, lineStop, block, stepVnd] of lines) {
      const lineEnd = lineStop ?? Infinity;
      if (position >= lineEnd) continue;
      if (now >= end) break;
      let span = Math.min(end - now, lineEnd - position);
      let [times, at] = [position === lineStart ? 1 : 0, now];
      if (block) {
        const delay = { started: 0, nearest: Math.floor((block + 1) / 2) - 1, complete: block - 1 }[plan.blocks];
        at += delay;
        times = Math.ceil(span / block);
        const whole = times * block;
        if (plan.is_cut) times = Math.max(0, Math.min(times, Math.ceil((end - now - delay) / block)));
        span = plan.is_cut ? Math.min(whole, end - now) : whole;
      }
      this.#charge(collection, period, { at, every: block || 1, times, stepVnd });
      now += span;
      position += span;
    }
    if (now < end) {
      position += end - now; // nothing more is charged
      now = end;
    }
    this.now = now;
    this.#used.set(ladder, position);
  }

  #charge(collection, period, { at, every, times, stepVnd }) {
    const count = this.left <= at ? 0 : Math.min(times, Math.ceil((this.left - at) / every));
    if (!count) return;
    const key = `${collection} ${period}`;
    const { vnd = 0 } = this.#sums.get(key) ?? {};
    this.#sums.set(key, { vnd: vnd + count * stepVnd, capVnd: this.plan.collections[collection].cap_vnd });
  }
}
