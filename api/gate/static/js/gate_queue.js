// The queue of what happened while there was no network: each movement is signed by the device's
// key when it happens, kept until the hub has said what became of it, and sent in order.

import { findDevice } from "/static/js/device.js";
import { sendQueue } from "/static/js/gate_flush.js";
import { newId } from "/static/js/gate_hub.js";
import { all, changeFact, count, put, readFact } from "/static/js/gate_store.js";
import { hubNow, setHubTime } from "/static/js/hub_clock.js";

const FLUSH_EVERY_MS = 15_000;
const text = new TextEncoder();

export class Queue {
  #device = null;
  #flushing = null;
  #isListening = false;
  #offsetMs = null; // how far the phone's clock is behind the hub's; null: nobody has found out

  constructor(gate) {
    this.gate = gate;
  }

  /** Find the device that this phone is, and send what waits: whoever has it now, in a shift or not. */
  async begin() {
    try {
      this.#device = await findDevice();
      this.#offsetMs = (await readFact("offset_ms")) ?? this.#offsetMs;
    } catch {
      return; // no IndexedDB (a private window): the phone works with a network only
    }
    if (!this.#device) return;
    this.#useOffset();
    this.#listen();
    await this.show();
    await this.flush();
  }

  /** A page out of the worker's cache does not know the hub's time: what this phone found last holds. */
  #useOffset() {
    if (this.gate.isLive || document.documentElement.dataset.hubNow) return;
    setHubTime(new Date(Date.now() + (this.#offsetMs ?? 0)).toISOString(), { isFresh: true });
  }

  /** The hub's clock here stands still while the phone sleeps: without a network its own moves it on. */
  catchUp() {
    if (this.#offsetMs === null) return;
    setHubTime(new Date(Date.now() + this.#offsetMs).toISOString());
  }

  /** Once a page: each shift that is opened on it begins anew. */
  #listen() {
    if (this.#isListening) return;
    this.#isListening = true;
    navigator.storage?.persist?.();
    addEventListener("online", () => this.flush());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      if (!this.gate.isLive) this.catchUp();
      this.flush();
    });
    navigator.serviceWorker?.addEventListener("message", ({ data }) => data === "flush" && this.flush());
    setInterval(() => this.flush(), FLUSH_EVERY_MS);
  }

  /** Whether what happens at this lot can be kept without a network. */
  get isReady() {
    return this.#device !== null && this.#device.lotId === this.gate.lot?.id;
  }

  /** The device that this phone is, or null. */
  get device() {
    return this.#device;
  }

  /** The line is live: note how wrong this phone's clock is. */
  noteClock() {
    this.#offsetMs = Math.round(hubNow() - Date.now());
    if (this.#device) put("facts", this.#offsetMs, "offset_ms");
  }

  /**
   * Keep something that happened.
   * @param {"entry"|"exit"|"collection"|"manual_open"} kind
   * @param {object} facts an entry as POST …/entries takes it; else the movement's data
   * @param {string} shown what the list of unsent items calls it
   * @returns {Promise<string>} the movement's id
   */
  async keep(kind, facts, shown) {
    const who = { staff_id: this.gate.state.person.id, shift_id: this.gate.shift?.id };
    const isUnchecked = !this.gate.people.isChecked; // chosen without a network, by no PIN
    const seq = await changeFact("seq", (last = 0) => last + 1);
    const movement = {
      id: newId(),
      seq,
      kind,
      device_at: new Date().toISOString(),
      offset_ms: this.#offsetMs ?? 0,
      ...(isUnchecked && { is_pin_checked: false }),
      ...(kind === "entry" ? { ...who, entry: facts } : { ...who, data: { ...who, ...facts } }),
    };
    const body = JSON.stringify(movement);
    const signature = urlSafe(await this.#device.signMovement(text.encode(body)));
    await put("movements", { seq, body, signature, kind, shown });
    await this.show();
    await this.#askForSync();
    return movement.id;
  }

  /** Send what waits, in order; several calls at once are one. */
  flush() {
    if (!this.#device || navigator.onLine === false) return Promise.resolve();
    this.#flushing ??= this.#send().finally(() => {
      this.#flushing = null;
    });
    return this.#flushing;
  }

  async #send() {
    const { gate } = this;
    const waits = await sendQueue(this.#device, async (conflicts) => {
      for (const { shown } of conflicts) gate.screens.complain(gate.say("queue.conflict", { shown }));
      await this.show();
      gate.readCount();
    });
    if (waits) return;
    await this.show(); // the worker may have sent it
    await gate.photos.send();
  }

  /** Whether the hub has revoked this phone; unknown is no. */
  async isRevoked() {
    try {
      await this.#device.listPeople(); // a token of before is refused, and the next one says it
      return false;
    } catch (error) {
      if (error.code === "no_answer") return false;
    }
    try {
      return (await this.#device.said()).is_queue_only;
    } catch {
      return false;
    }
  }

  async unsent() {
    return this.#device ? count("movements") : 0;
  }

  /** Of which stays something waits, and what: {session: kinds of movements}. */
  async listStays() {
    const found = new Map();
    if (!this.#device) return found;
    for (const { body, kind } of await all("movements")) {
      const { entry, data } = JSON.parse(body);
      const id = entry?.id ?? data?.session_id;
      found.set(id, (found.get(id) ?? new Set()).add(kind));
    }
    return found;
  }

  /** The counter of unsent items, always in sight, and their list on the shift's screen. */
  async show() {
    const waiting = await all("movements");
    const badge = document.querySelector("[data-unsent]");
    badge.hidden = waiting.length === 0;
    badge.querySelector("span").textContent = waiting.length;
    const conflicts = (await readFact("conflicts")) ?? [];
    const list = document.querySelector("[data-unsent-list]");
    const lines = [
      ...waiting.map(({ kind, shown }) => this.gate.say(`queue.${kind}`, { shown })),
      ...(await this.gate.photos.lines()),
      ...conflicts.map(({ shown }) => this.gate.say("queue.conflict", { shown })),
    ];
    list.hidden = lines.length === 0;
    list.replaceChildren(...lines.map((words) => Object.assign(document.createElement("p"), { textContent: words })));
    document.querySelector("[data-unsent-first]").hidden = waiting.length === 0;
  }

  async #askForSync() {
    try {
      const registration = await navigator.serviceWorker.ready;
      await registration.sync.register("gate-flush");
    } catch {
      /* Firefox and Safari have none, and it may be refused: the timer does it */
    }
  }
}

function urlSafe(base64) {
  return base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
