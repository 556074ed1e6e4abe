// Who has a pass at this lot, for the time without a network. No plate lies here: a vehicle is found
// by the hash of its plate, under a key that no script can read back. The hub decides later.

import { all, put, readFact, remove } from "/static/js/gate_store.js";
import { hubNow } from "/static/js/hub_clock.js";

const FACT = "passes"; // {lot_id, etag, read_at, key, isComplete, plates: {hash: [pass]}, passes: {id: pass}}
const ASK_AFTER_MS = 240_000;
const GOOD_FOR_MS = 3 * 86_400_000; // what begins later is not on the list
const HASH_BYTES = 16;
const HANOI_MS = 7 * 3_600_000;
const HASHING = { name: "HMAC", hash: "SHA-256" };
const text = new TextEncoder();

export class Passes {
  #refreshing = null;
  #asked = {}; // {lotId, at}

  constructor(gate) {
    this.gate = gate;
  }

  /** Ask for the list, every few minutes; one that is the same is not sent again. */
  refresh() {
    const isFresh = this.#asked.lotId === this.gate.lot.id && performance.now() - this.#asked.at < ASK_AFTER_MS;
    if (isFresh) return Promise.resolve();
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #refresh() {
    const { gate } = this;
    const lotId = gate.lot.id;
    if (await gate.queue.isRevoked()) {
      await gate.offline.erase();
      return;
    }
    const kept = await readFact(FACT);
    const own = kept?.lot_id === lotId ? kept : null;
    const path = `/v1/lots/${lotId}/passes`;
    const found = await gate.attempt(() => gate.hub.getIfChanged(path, own?.etag), { quiet: true });
    if (!found) return;
    const list = found.body ? await makeList(found.body) : own;
    await put("facts", { ...list, lot_id: lotId, etag: found.etag, read_at: hubNow() }, FACT);
    this.#asked = { lotId, at: performance.now() };
  }

  /**
   * The pass that a vehicle has here today, by the list: {id, kind, valid_until, listed_at, isInUse}
   * or null. Of a monthly pass's vehicles one is inside on it.
   * @param {{vehicle_class: string, plate?: string}} vehicle its plate compact
   */
  async find({ vehicle_class: className, plate }) {
    const list = plate && (await this.read());
    if (!list) return null;
    const today = hanoiDay(hubNow());
    const hash = await hashPlate(list.key, `${className}:${plate}`);
    const held = (list.plates[hash] ?? []).filter((one) => one.valid_from <= today && today <= one.valid_until);
    if (!held.length) return null;
    const stays = await all("stays");
    const used = new Set(stays.filter((one) => one.is_pass).map((one) => one.pass_id));
    const judged = held.map((one) => ({ ...one, isInUse: one.kind === "monthly" && used.has(one.id), listed_at: list.read_at }));
    return judged.sort(byHub)[0];
  }

  /** A pass by its id, if the list has it. */
  async get(id) {
    return (id && (await this.read())?.passes[id]) || null;
  }

  async erase() {
    await remove("facts", FACT);
  }

  /** The list that is kept, {plates, passes}, or null where there is none to believe. */
  async read() {
    const list = await readFact(FACT);
    const isGood = list?.lot_id === this.gate.lot.id && hubNow() - list.read_at < GOOD_FOR_MS;
    return isGood ? list : null;
  }
}

/** When a pass no longer covers a stay: at midnight in Hà Nội after its last day. */
export function endOf(day) {
  return Date.parse(`${day}T00:00:00Z`) + 86_400_000 - HANOI_MS;
}

export function hanoiDay(ms) {
  return new Date(ms + HANOI_MS).toISOString().slice(0, 10);
}

// The hub's order: one that is free before one in use, an exemption before a monthly pass.
function byHub(one, other) {
  const rank = ({ isInUse, kind, valid_until: until, id }) => `${Number(isInUse)}${kind === "exempt" ? 0 : 1}${until}${id}`;
  return rank(one) < rank(other) ? -1 : 1;
}

async function makeList({ key, plates, is_complete: isComplete }) {
  const bytes = Uint8Array.from(key.match(/../g), (pair) => Number.parseInt(pair, 16));
  const list = { key: await crypto.subtle.importKey("raw", bytes, HASHING, false, ["sign"]), isComplete, plates: {}, passes: {} };
  for (const { plate_hash: hash, pass_id: id, kind, valid_from, valid_until } of plates) {
    list.passes[id] = { id, kind, valid_from, valid_until };
    (list.plates[hash] ??= []).push(list.passes[id]);
  }
  return list;
}

async function hashPlate(key, vehicle) {
  const hash = new Uint8Array(await crypto.subtle.sign(HASHING, key, text.encode(vehicle)));
  return [...hash.slice(0, HASH_BYTES)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
