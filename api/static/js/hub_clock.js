// The hub's time on this device. Only the hub's own words and the time that has passed since count:
// a phone's clock may be minutes or years wrong, and decides nothing here.

const written = Date.parse(document.documentElement.dataset.hubNow ?? "");
const [load] = performance.getEntriesByType("navigation");
// A page of no hub (the style guide) has only its device to ask.
let offset = Number.isNaN(written)
  ? Date.now() - performance.now()
  : written - (load?.responseStart ?? 0);

/** Milliseconds since 1970 by the hub's clock. */
export function hubNow() {
  return offset + performance.now();
}

/**
 * Take the hub's word for what time it is.
 * @param {string} iso
 * @param {{isFresh?: boolean}} [options] said just now; else it may have waited on the way, and only
 *   moves the clock forward (time passes that performance.now() does not see: a phone that sleeps)
 */
export function setHubTime(iso, { isFresh = false } = {}) {
  const measured = Date.parse(iso) - performance.now();
  if (Number.isNaN(measured)) return;
  offset = isFresh ? measured : Math.max(offset, measured);
}
