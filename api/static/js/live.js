// News from the hub as it happens: an EventSource that also survives a hub that restarts.

const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 10_000; // a vendor looks at the screen: a minute of back-off is too long
const SEEN_MAX = 1000; // the stream repeats its last minute; a stall sells less than this in it

/**
 * Listen to named server-sent events whose data is JSON.
 * @param {string} address of the stream, on this host
 * @param {Record<string, (data: any, event: MessageEvent) => void>} handlers by event name
 * @param {{onSignal?: (isLive: boolean) => void, onTick?: (eventId: string) => void}} [options]
 *   told when the line comes and goes, and, in silence, up to which event everything was heard
 * @returns {() => void} call it to stop
 */
export function listen(address, handlers, { onSignal = () => {}, onTick = () => {} } = {}) {
  const seen = new Set();
  let source = null;
  let lastEventId = "";
  let retryMs = RETRY_MIN_MS;
  let retryTimer = null;

  const hand = (name) => (event) => {
    if (event.lastEventId) {
      lastEventId = event.lastEventId;
      const key = `${name} ${event.lastEventId}`;
      if (seen.has(key)) return;
      seen.add(key);
      if (seen.size > SEEN_MAX) seen.delete(seen.values().next().value);
    }
    handlers[name](JSON.parse(event.data), event);
  };

  const open = () => {
    const url = new URL(address, location.href);
    // A new EventSource sends no Last-Event-ID header of its own, so the address carries it.
    if (lastEventId) url.searchParams.set("last_event_id", lastEventId);
    source = new EventSource(url);
    source.addEventListener("open", () => {
      retryMs = RETRY_MIN_MS;
      onSignal(true);
    });
    source.addEventListener("error", () => {
      onSignal(false);
      // After a lost line the browser tries again by itself; after an error answer (502 from a
      // proxy while the hub restarts) it gives up for ever.
      if (source.readyState !== EventSource.CLOSED) return;
      retryTimer = setTimeout(open, retryMs * (0.7 + 0.6 * Math.random()));
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    });
    for (const name of Object.keys(handlers)) source.addEventListener(name, hand(name));
    // In silence: up to here everything was told.
    source.addEventListener("tick", (event) => {
      lastEventId = event.lastEventId;
      onTick(lastEventId);
    });
  };

  open();
  return () => {
    clearTimeout(retryTimer);
    source.close();
  };
}
