// News from the hub as it happens: an EventSource that also survives a hub that restarts, and a line
// that goes without a word.

import { acquireConnection } from "/static/js/connections.js";
import { setHubTime, hubNow } from "/static/js/hub_clock.js";

export const SILENT_MS = 35_000; // the hub ticks every 15 s: two were missed
const OPEN_WITHIN_MS = 10_000;
const WATCH_EVERY_MS = 1000;
const DOUBTFUL_MS = 20_000; // one tick was missed: not waited for when the page comes to the front
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 10_000; // a vendor looks at the screen: a minute of back-off is too long
const PLACE_RETRY_MS = 30_000; // another page took this one's place, and must not lose it at once
const SEEN_MAX = 1000; // the stream repeats its last minute; a stall sells less than this in it

/**
 * Listen to named server-sent events whose data is JSON.
 * @param {string} address of the stream, on this host
 * @param {Record<string, (data: any, event: MessageEvent, isReplay: boolean) => void>} handlers by
 *   event name; isReplay: it happened before the stream was open
 * @param {object} [options]
 * @param {(isLive: boolean, receivedAt: number) => void} [options.onSignal] the line comes and goes;
 *   receivedAt: when something last came, in ms by the hub's clock
 * @param {(eventId: string) => void} [options.onTick] up to this event everything was received;
 *   said when the stream has caught up, and every 15 s
 * @param {(isTooMany: boolean) => void} [options.onTooMany] this browser, or this person on all
 *   devices, has too many streams open: nothing is received until another page closes
 * @returns {() => void} call it to stop
 */
export function listen(
  address,
  handlers,
  { onSignal = () => {}, onTick = () => {}, onTooMany = () => {} } = {},
) {
  const seen = new Set();
  const stopping = new AbortController();
  let giveBack = () => {};
  let source = null;
  let lastEventId = "";
  let isReplay = true;
  let isOpen = false;
  let waitingFrom = 0; // for a word, by performance.now()
  let receivedAt = hubNow();
  let retryMs = RETRY_MIN_MS;
  let retryTimer = null;
  let isReplaced = false; // by newer pages of this person, which has too many
  let mayReplace = true; // and may do so in turn

  const noteReceived = () => {
    waitingFrom = performance.now();
    receivedAt = hubNow();
  };
  const handlerOf = (name) => (event) => {
    noteReceived();
    if (event.lastEventId) {
      lastEventId = event.lastEventId;
      const key = `${name} ${event.lastEventId}`;
      if (seen.has(key)) return;
      seen.add(key);
      if (seen.size > SEEN_MAX) seen.delete(seen.values().next().value);
    }
    handlers[name](JSON.parse(event.data), event, isReplay);
  };

  /** Up to this event nothing is missing. */
  const receivedTo = (eventId) => {
    if (!eventId) return;
    lastEventId = eventId;
    onTick(eventId);
  };

  const open = () => {
    clearTimeout(retryTimer);
    source?.close();
    isOpen = false;
    isReplay = true;
    waitingFrom = performance.now();
    const url = new URL(address, location.href);
    // A new EventSource sends no Last-Event-ID header of its own, so the address carries it.
    if (lastEventId) url.searchParams.set("last_event_id", lastEventId);
    if (!mayReplace) url.searchParams.set("may_replace", "false");
    source = new EventSource(url);
    source.addEventListener("open", () => {
      isOpen = true;
      isReplay = true; // the browser opens a lost line again by itself
      retryMs = RETRY_MIN_MS;
      if (isReplaced) onTooMany(false);
      isReplaced = false;
      mayReplace = true;
      noteReceived();
      onSignal(true, receivedAt);
    });
    source.addEventListener("error", () => {
      // After a lost line the browser tries again by itself; after an error answer (502 from a
      // proxy while the hub restarts) it gives up for ever.
      const isForEver = source.readyState === EventSource.CLOSED;
      isOpen = false;
      waitingFrom = performance.now();
      onSignal(false, receivedAt);
      if (isForEver) openLater();
    });
    for (const name of Object.keys(handlers)) source.addEventListener(name, handlerOf(name));
    source.addEventListener("replaced", () => {
      isReplaced = true;
      mayReplace = false;
      onTooMany(true);
      drop();
    });
    source.addEventListener("hello", (event) => {
      setHubTime(JSON.parse(event.data).now, { isFresh: true });
      // Before the first tick too: a line that dies in its first seconds is gone on with from here.
      lastEventId = event.lastEventId || lastEventId;
    });
    source.addEventListener("caught-up", (event) => {
      isReplay = false;
      receivedTo(event.lastEventId);
    });
    source.addEventListener("tick", (event) => {
      noteReceived();
      setHubTime(JSON.parse(event.data).now);
      receivedTo(event.lastEventId);
    });
  };

  const openLater = () => {
    clearTimeout(retryTimer);
    const pauseMs = mayReplace ? retryMs : PLACE_RETRY_MS;
    retryTimer = setTimeout(open, pauseMs * (0.7 + 0.6 * Math.random()));
    retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
  };

  /** Nothing comes any more, and nobody said why: as good as lost. */
  const drop = () => {
    if (!source || source.readyState === EventSource.CLOSED) return;
    source.close();
    isOpen = false;
    onSignal(false, receivedAt);
    openLater();
  };

  const dropIfSilentFor = (ms) => performance.now() - waitingFrom > ms && drop();
  const watch = () => {
    const silentMs = Number(document.documentElement.dataset.silentMs ?? SILENT_MS);
    dropIfSilentFor(isOpen ? silentMs : Math.min(silentMs, OPEN_WITHIN_MS));
  };
  const watching = setInterval(watch, WATCH_EVERY_MS);
  const { signal } = stopping;
  addEventListener("offline", drop, { signal });
  addEventListener("online", () => source && !isOpen && open(), { signal });
  // A question was not answered in time: the line that both go by is probably dead.
  document.addEventListener("phopay:no-answer", drop, { signal });
  const comeToFront = () => {
    if (document.hidden) return;
    dropIfSilentFor(DOUBTFUL_MS);
    if (mayReplace) return;
    mayReplace = true; // somebody looks at this page now
    open();
  };
  document.addEventListener("visibilitychange", comeToFront, { signal });

  acquireConnection(signal, onTooMany).then((leave) => {
    giveBack = leave;
    if (signal.aborted) leave();
    else open();
  });
  return () => {
    stopping.abort();
    clearTimeout(retryTimer);
    clearInterval(watching);
    source?.close();
    giveBack();
  };
}
