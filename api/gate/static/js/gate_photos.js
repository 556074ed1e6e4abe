// Photos that were taken without a network: kept by an id of the phone's own, sent once the movements
// are, and attached to their stay. What cannot be kept or sent is said, and listed.

import { newId, NoAnswer, Refused } from "/static/js/gate_hub.js";
import { hubNow } from "/static/js/hub_clock.js";

const NAME = "phopay-gate-photos";
export const PHOTOS_MAX = 60; // an hour at a gate
export const BYTES_MAX = 12 * 1024 * 1024;
const LOST_KEPT = 20;
const TRIES_MAX = 5; // of a photo whose stay the hub does not know: it sends every 15 seconds
const UNUSED_AFTER_MS = 86_400_000; // of an entry that was never sent
const UPLOAD_WITHIN_MS = 20_000;
const NOT_THERE_YET = new Set(["parking_stay_not_found", "parking_session_not_found", "movement_not_found"]);
const TRY_AGAIN = new Set([408, 425, 429, 500, 503]); // and not lost

export class Photos {
  #opening = null;
  #sending = null;

  constructor(gate) {
    this.gate = gate;
  }

  /**
   * Keep a photo until there is a network; null where there is no room for it.
   * @param {Blob} picture
   * @returns {Promise<{id: string, link: string}|null>}
   */
  async keep(picture) {
    const kept = await this.#all().catch(() => null);
    const bytes = (kept ?? []).reduce((sum, { picture: one }) => sum + one.size, 0);
    if (!kept || kept.length >= PHOTOS_MAX || bytes + picture.size > BYTES_MAX) return this.#refuse();
    const one = { id: newId(), picture, lot_id: this.gate.lot.id, taken_at: new Date(hubNow()).toISOString() };
    try {
      await this.#run("photos", "readwrite", (store) => store.put(one));
    } catch {
      return this.#refuse(); // the phone is full
    }
    return { id: one.id, link: URL.createObjectURL(picture) };
  }

  /** Say whose photo it is: of a stay, at its way in or out, or of its lost ticket; of an opening. */
  async attach(id, { session_id, direction, shown }) {
    const one = await this.#run("photos", "readonly", (store) => store.get(id));
    if (one) await this.#run("photos", "readwrite", (store) => store.put({ ...one, session_id, direction, shown }));
    await this.gate.queue.show();
  }

  /** Send what is kept, one after the other, once the queue of movements is empty. */
  send() {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  /** What the shift's screen lists: photos that wait, and those that are lost. */
  async lines() {
    const kept = await this.#all().catch(() => []);
    const lost = await this.#lost().catch(() => []);
    const waiting = kept.filter((one) => one.session_id);
    return [
      ...waiting.map(({ shown }) => this.gate.say("photos.waiting", { shown })),
      ...lost.map(({ shown }) => this.gate.say("photos.lost", { shown })),
    ];
  }

  async #sendAll() {
    const kept = await this.#all().catch(() => []);
    for (const one of kept) {
      if (!one.session_id) {
        if (hubNow() - Date.parse(one.taken_at) > UNUSED_AFTER_MS) await this.#forget(one.id);
        continue;
      }
      try {
        await this.#sendOne(one);
      } catch (error) {
        if (error instanceof NoAnswer) return;
        if (!(error instanceof Refused)) throw error;
        if (TRY_AGAIN.has(error.status) || error.status === 401) return;
        if (await this.#waitsForStay(one, error.code)) continue;
        await this.#lose(one.shown);
      }
      await this.#forget(one.id);
      await this.gate.queue.show();
    }
  }

  async #sendOne({ id, picture, lot_id: lotId, session_id: sessionId, direction, taken_at: takenAt }) {
    const { hub } = this.gate;
    const { hash } = await hub.post(`/v1/lots/${lotId}/photos`, picture, { withinMs: UPLOAD_WITHIN_MS });
    if (direction === "lost_ticket") return hub.post(`/v1/parking-sessions/${sessionId}/lost-ticket`, { photo: hash });
    if (direction === "manual_open") return hub.post(`/v1/lots/${lotId}/manual-opens/${sessionId}/photos`, { photo: hash });
    const body = { id, photo: hash, direction, taken_at: takenAt };
    return hub.post(`/v1/lots/${lotId}/sessions/${sessionId}/photos`, body);
  }

  /** Its entry may wait at the hub for an exit before it: the stay is there in a moment. */
  async #waitsForStay(one, code) {
    const tries = (one.tries ?? 0) + 1;
    if (!NOT_THERE_YET.has(code) || tries >= TRIES_MAX) return false;
    await this.#run("photos", "readwrite", (store) => store.put({ ...one, tries }));
    return true;
  }

  #refuse() {
    this.gate.screens.complain(this.gate.say("photos.full"));
    return null;
  }

  async #lose(shown) {
    const lost = [{ shown, at: hubNow() }, ...(await this.#lost())].slice(0, LOST_KEPT);
    await this.#run("lost", "readwrite", (store) => store.put(lost, "lost"));
    this.gate.screens.complain(this.gate.say("photos.lost", { shown }));
  }

  async #lost() {
    return (await this.#run("lost", "readonly", (store) => store.get("lost"))) ?? [];
  }

  #forget(id) {
    return this.#run("photos", "readwrite", (store) => store.delete(id));
  }

  #all() {
    return this.#run("photos", "readonly", (store) => store.getAll());
  }

  #open() {
    this.#opening ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(NAME, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("photos", { keyPath: "id" });
        request.result.createObjectStore("lost");
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => {
        this.#opening = null;
        reject(request.error);
      };
    });
    return this.#opening;
  }

  async #run(name, mode, act) {
    const database = await this.#open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode);
      const request = act(transaction.objectStore(name));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}
