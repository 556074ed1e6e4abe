// How many live lines one browser keeps open. Over HTTP/1.1 it has six connections to a host, and a
// page whose request finds none free would hang without a word: the pages share LINES_MAX of them.

const LINES_MAX = 4; // two stay free for what people press
const CROWDED_AFTER_MS = 2000; // a page that is just being left still holds its line

/**
 * Wait for one of the browser's lines.
 * @param {AbortSignal} signal ends the waiting
 * @param {(isCrowded: boolean) => void} onCrowded called when there is none, and when there is
 * @returns {Promise<() => void>} call it to give the line back; closing the page does so too
 */
export function takeLine(signal, onCrowded) {
  // HTTP/2 carries them all in one connection. Without https or localhost there are no locks.
  const [load] = performance.getEntriesByType("navigation");
  const isShared = /^h[23]/.test(load?.nextHopProtocol ?? "");
  if (isShared || !navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    const waiting = new AbortController();
    const timer = setTimeout(() => onCrowded(true), CROWDED_AFTER_MS);
    const end = () => {
      clearTimeout(timer);
      waiting.abort(); // the other places in the queue; the lock that was given stays
    };
    signal.addEventListener("abort", end);
    let isGiven = false;
    const take = () => {
      if (isGiven) return undefined; // two at once: one is enough
      isGiven = true;
      end();
      onCrowded(false);
      return new Promise((giveBack) => resolve(giveBack));
    };
    for (let i = 0; i < LINES_MAX; i += 1) {
      navigator.locks.request(`phopay.line.${i}`, { signal: waiting.signal }, take).catch(() => {});
    }
  });
}
