// References for codes that the phone draws without a network: blocks that the hub gave it, the
// bills that it keeps for the queue, and which of them the hub has confirmed since.

import { drawQr, writeVietQr } from "/static/js/gate_code.js";
import { newId } from "/static/js/gate_hub.js";
import { lostOf } from "/static/js/gate_offline.js";
import { changeFact, put, read, readFact } from "/static/js/gate_store.js";
import { vnd } from "/static/js/gate_words.js";
import { hubNow } from "/static/js/hub_clock.js";

const PATH = "/v1/devices/me/reference-blocks";
const REFILL_BELOW = 100; // half a block
const DRAWN_KEPT = 50; // of the last codes: whether they were paid stands on the shift's screen
// A bill may be paid for a day from when it reaches the hub: an older code may be worth nothing.
const DRAWN_FOR_MS = 24 * 3_600_000;
const FACT = "references"; // {pending: the block that is being taken, or null; blocks}

export class References {
  #refreshing = null;
  #awaiting = { count: 0, amount_vnd: 0 };

  constructor(gate) {
    this.gate = gate;
    document.addEventListener("gate:screen", ({ detail }) => {
      if (detail.name === "shift") this.look();
    });
  }

  /** While there is a network: drop what is over, take a block where half is used. */
  refresh() {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #refresh() {
    const { device, isReady } = this.gate.queue;
    if (!isReady) return;
    try {
      const { blocks: open } = await device.ask("GET", PATH);
      const known = new Map(open.map((block) => [block.id, block]));
      const kept = await changeFact(FACT, ({ pending, blocks } = { pending: null, blocks: [] }) => ({
        pending,
        blocks: blocks.filter(({ id }) => known.has(id)).map((block) => ({ ...block, ...known.get(block.id) })),
      }));
      if (countLeft(kept) < REFILL_BELOW) await this.#take(device);
    } catch {
      /* the next contact tries again; the lot may have no account yet */
    }
    await this.look();
  }

  /** Take a block. Its id is kept first: after a lost answer the same one is asked for again. */
  async #take(device) {
    const { pending } = await changeFact(FACT, (before) => ({ ...before, pending: before.pending ?? newId() }));
    const block = await device.ask("POST", PATH, { id: pending }).catch(async (error) => {
      // Before the phone was enrolled anew it was another device's.
      if (error.code === "reference_block_taken") await changeFact(FACT, (before) => ({ ...before, pending: null }));
      throw error;
    });
    await changeFact(FACT, (before) => {
      // Another page of this phone may have had the same answer, and used some of it.
      const isNew = !before.blocks.some(({ id }) => id === block.id);
      return { pending: null, blocks: isNew ? [...before.blocks, block] : before.blocks };
    });
  }

  /** The code of a stay that is paid without a network: the same while it owes the same. */
  async drawFor(stay) {
    const known = stay.code;
    const isGood = known && hubNow() - known.drawn_at < DRAWN_FOR_MS;
    if (isGood && known.amount_vnd === stay.due_vnd) return known;
    const taken = await this.#use();
    if (!taken) return null;
    const { gate } = this;
    const shown = stay.plate ?? stay.ticket;
    const code = { ...taken, id: newId(), amount_vnd: stay.due_vnd, drawn_at: hubNow() };
    const { id, reference, amount_vnd } = code;
    const data = { id, session_id: stay.id, staff_id: gate.state.person.id, reference, amount_vnd, ...lostOf(stay) };
    // It is kept before anybody can scan it: money on a reference waits for its bill.
    await gate.queue.keep("bill", data, shown);
    await changeFact("drawn", (before = []) =>
      [{ id, session_id: stay.id, shown, amount_vnd, covers_vnd: stay.paid_vnd + amount_vnd, is_paid: false }, ...before]
        .slice(0, DRAWN_KEPT),
    );
    const found = await read("stays", stay.id);
    if (found) await put("stays", { ...found, code });
    await this.show();
    return code;
  }

  /** Use the next reference up: two pages of one phone never have the same. */
  async #use() {
    let taken = null;
    await changeFact(FACT, (before = { pending: null, blocks: [] }) => {
      const block = before.blocks.find(isUsable);
      if (!block) return before;
      const [reference, ...references] = block.references;
      taken = { reference, bin: block.bin, account: block.account };
      return { ...before, blocks: before.blocks.map((one) => (one === block ? { ...block, references } : one)) };
    });
    return taken;
  }

  /** The picture of a code. */
  picture({ bin, account, amount_vnd: amountVnd, reference }) {
    return drawQr(writeVietQr({ bin, account, amountVnd, reference }));
  }

  /** Ask which of the codes were paid since, and what waits for the phones of this lot. */
  async look() {
    const { gate } = this;
    if (!gate.queue.isReady) return;
    const waiting = ((await readFact("drawn")) ?? []).filter((one) => !one.is_paid);
    const ids = waiting.map(({ id }) => `id=${id}`).join("&");
    const path = `/gate/lots/${gate.lot.id}/drawn-codes?${ids}`;
    const found = await gate.attempt(() => gate.hub.get(path), { quiet: true });
    if (found) {
      this.#awaiting = found.awaiting;
      const paid = new Set(found.paid);
      for (const { id, session_id: stayId, covers_vnd: covers } of waiting) {
        if (paid.has(id)) await gate.offline.notePaid(stayId, covers, { billId: id });
      }
      await changeFact("drawn", (before = []) =>
        before.map((one) => (paid.has(one.id) ? { ...one, is_paid: true } : one)),
      );
    }
    await this.show();
  }

  /** The codes of this phone on the shift's screen: confirmed, or not yet. */
  async show() {
    const { say } = this.gate;
    const drawn = (await readFact("drawn")) ?? [];
    const lines = drawn.map(({ shown, amount_vnd: amount, is_paid: isPaid }) =>
      say(isPaid ? "drawn.paid" : "drawn.waiting", { shown, amount: vnd(amount) }),
    );
    const { count, amount_vnd: sum } = this.#awaiting;
    if (count) lines.unshift(say("drawn.awaiting", { count, amount: vnd(sum) }));
    const list = document.querySelector("[data-drawn-list]");
    list.hidden = lines.length === 0;
    list.replaceChildren(...lines.map((words) => Object.assign(document.createElement("p"), { textContent: words })));
  }
}

const isUsable = ({ is_current: isCurrent, expires_at: expiresAt, references }) =>
  isCurrent && Date.parse(expiresAt) > hubNow() && references.length > 0;

function countLeft({ blocks }) {
  return blocks.filter(isUsable).reduce((sum, { references }) => sum + references.length, 0);
}
