// Sending what waits in the phone's queue: by the page, or by the service worker where none is open.
// Each movement was signed when it happened, so whoever sends it changes nothing.

import { all, changeFact, count, remove } from "/static/js/gate_store.js";

const BATCH = 200;
const FINE = new Set(["opened", "repeat", "waiting", "applied"]);
const CONFLICTS_KEPT = 50;
const SENDING = "phopay-gate-queue"; // the lock of who sends: one page, or the worker
const TURN_WITHIN_MS = 30_000;

/**
 * Send what waits, in order, until nothing does or nobody answers. Each movement stays in the queue
 * until the hub has said what became of it.
 * @param {import("/static/js/device.js").Device} device
 * @param {(conflicts: {shown: string, verdict: string}[]) => Promise<void>} [onSent] after each batch
 * @returns {Promise<number>} how many wait yet
 */
export async function sendQueue(device, onSent = async () => {}) {
  try {
    await inTurn(() => sendAll(device, onSent));
  } catch (error) {
    if (error.name !== "TimeoutError") throw error; // who has the turn sends for us
  }
  return count("movements");
}

async function sendAll(device, onSent) {
  for (;;) {
    const waiting = await all("movements", BATCH);
    if (!waiting.length) return;
    const movements = waiting.map(({ body, signature }) => ({ body, signature }));
    let answer;
    try {
      answer = await device.ask("POST", `/v1/lots/${device.lotId}/movements`, { movements });
    } catch {
      return; // the next try comes by itself
    }
    const conflicts = [];
    for (const [at, { verdict }] of answer.results.entries()) {
      const { seq, shown } = waiting[at];
      if (!FINE.has(verdict)) conflicts.push({ shown, verdict });
      await remove("movements", seq);
    }
    if (conflicts.length) {
      await changeFact("conflicts", (before = []) => [...conflicts.slice().reverse(), ...before].slice(0, CONFLICTS_KEPT));
    }
    await onSent(conflicts);
  }
}

function inTurn(act) {
  if (!navigator.locks) return act(); // an old browser: the hub knows what comes twice
  return navigator.locks.request(SENDING, { signal: AbortSignal.timeout(TURN_WITHIN_MS) }, act);
}
