// The ids of collections that are under way. One whose answer was lost keeps its id, also when it is
// tried again without a network or after a reload: whatever the hub had recorded it records once.

import { newId, Refused } from "/static/js/gate_hub.js";
import { changeFact } from "/static/js/gate_store.js";

const FACT = "collecting"; // [{session_id, id}]
const KEPT = 50;

export class Collecting {
  #own = []; // where this phone keeps nothing: for as long as the page lives

  constructor(gate) {
    this.gate = gate;
  }

  /** The id of what is being collected for a stay: the same until that is settled. */
  async idOf(sessionId) {
    const made = { session_id: sessionId, id: newId() };
    const isOf = (one) => one.session_id === sessionId;
    const kept = await this.#change((before) => (before.some(isOf) ? before : [made, ...before].slice(0, KEPT)));
    return kept.find(isOf).id;
  }

  /**
   * Collect something of a stay under its id; what the hub answered, or refused, is settled.
   * @param {(id: string) => Promise<any>} work
   */
  async under(sessionId, work) {
    const id = await this.idOf(sessionId);
    try {
      const taken = await work(id);
      await this.settle(sessionId);
      return taken;
    } catch (error) {
      if (error instanceof Refused) await this.settle(sessionId);
      throw error;
    }
  }

  /** It is known what became of it: what is collected next for this stay is something else. */
  async settle(sessionId) {
    await this.#change((before) => before.filter((one) => one.session_id !== sessionId));
  }

  async #change(change) {
    if (this.gate.queue.isReady) return changeFact(FACT, (before = []) => change(before));
    this.#own = change(this.#own);
    return this.#own;
  }
}
