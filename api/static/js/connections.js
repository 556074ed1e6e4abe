// How many streams one browser keeps open. Over HTTP/1.1 it has six connections to a host, and a
// page whose request finds none free would hang without a word: the pages share STREAMS_MAX of them.

const STREAMS_MAX = 4; // two connections stay free for what people press
const TOO_MANY_AFTER_MS = 2000; // a page that is just being left still holds its connection

/**
 * Wait for one of the browser's connections for a stream.
 * @param {AbortSignal} signal ends the waiting
 * @param {(isTooMany: boolean) => void} onTooMany called when there is none, and when there is
 * @returns {Promise<() => void>} call it to give the connection back; closing the page does so too
 */
export function acquireConnection(signal, onTooMany) {
  // HTTP/2 carries them all in one connection. Without https or localhost there are no locks.
  const [load] = performance.getEntriesByType("navigation");
  const isShared = /^h[23]/.test(load?.nextHopProtocol ?? "");
  if (isShared || !navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    const waiting = new AbortController();
    const timer = setTimeout(() => onTooMany(true), TOO_MANY_AFTER_MS);
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
      onTooMany(false);
      return new Promise((giveBack) => resolve(giveBack));
    };
    for (let i = 0; i < STREAMS_MAX; i += 1) {
      navigator.locks.request(`phopay.line.${i}`, { signal: waiting.signal }, take).catch(() => {});
    }
  });
}
