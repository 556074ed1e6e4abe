// The gate's service worker: the phone's page and all that it is made of open without a network.
// /gate/worker.js puts before it what SHELL and VERSION are.
/* global SHELL, VERSION */

import { readDevice } from "/static/js/device.js";
import { sendQueue } from "/static/js/gate_flush.js";

const SHELL_CACHE = `gate-${VERSION}`;
const PAGE_CACHE = `gate-page-${VERSION}`; // who is signed in: forgotten when they sign out
const PAGE = "/gate";
const PAGE_WITHIN_MS = 4000;
const KEPT_WITHIN_MS = 30_000;

// Answers may come in another order than they were asked for: the page kept is the newest asked for.
let asked = 0;
let kept = 0;

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(SHELL_CACHE);
      await cache.addAll(SHELL);
      // A page of this release, before that of the release of before goes: its scripts are others.
      if (self.registration.active) await keepPage(KEPT_WITHIN_MS, { must: true });
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith("gate-") && name !== SHELL_CACHE && name !== PAGE_CACHE) await caches.delete(name);
      }
      await self.clients.claim();
      await keepPage(PAGE_WITHIN_MS); // what the page asks for waits until the worker is active
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate" && url.pathname === PAGE) event.respondWith(showPage(request));
  else if (url.pathname.startsWith("/static/")) event.respondWith(showStatic(request, url));
});

self.addEventListener("message", (event) => {
  if (event.data === "keep-page") event.waitUntil(keepPage(KEPT_WITHIN_MS));
  if (event.data === "forget-page") event.waitUntil(forgetPage());
  // A page that was on its way while the worker activated: it was not there to be taken over.
  if (event.data === "take-over") event.waitUntil(self.clients.claim());
});

// Background Sync: the network is back. What waits is sent also where no page is open; pages that are
// open show it, and send their photos.
self.addEventListener("sync", (event) => {
  if (event.tag === "gate-flush") event.waitUntil(sendWaiting());
});

async function sendWaiting() {
  const device = await readDevice();
  const waits = device ? await sendQueue(device) : 0;
  for (const page of await self.clients.matchAll()) page.postMessage("flush");
  if (waits) throw new Error(`${waits} movements wait yet`); // so that the browser tries again
}

async function showPage(request) {
  const number = ++asked;
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PAGE_WITHIN_MS) });
    if (answer.ok && !answer.redirected) await keep(answer.clone(), number);
    return answer;
  } catch (error) {
    const page = await caches.match(PAGE, { cacheName: PAGE_CACHE });
    if (!page) throw error;
    return page;
  }
}

/** Keep the page as it is now; that of nobody who is signed in is none. */
async function keepPage(withinMs, { must = false } = {}) {
  const number = ++asked;
  try {
    const signal = AbortSignal.timeout(withinMs);
    const answer = await fetch(PAGE, { headers: { Accept: "text/html" }, signal });
    if (answer.ok && !answer.redirected) await keep(answer, number);
    else if (answer.status >= 500) throw new Error(`${PAGE}: ${answer.status}`);
  } catch (error) {
    if (must) throw error; // the browser installs again later
    /* without a network there is nothing new to keep */
  }
}

/** Who signs out takes their page along, and what is on its way to it. */
async function forgetPage() {
  kept = ++asked;
  await caches.delete(PAGE_CACHE);
}

// The hub's time on a page that is shown hours later would be believed: js/hub_clock.js.
async function keep(answer, number) {
  const page = (await answer.text()).replace(/ data-hub-now="[^"]*"/, "");
  const cache = await caches.open(PAGE_CACHE);
  if (number < kept) return;
  kept = number;
  await cache.put(PAGE, new Response(page, { headers: answer.headers }));
}

async function showStatic(request, url) {
  const shell = await caches.open(SHELL_CACHE);
  const kept = await shell.match(url.pathname);
  return kept ?? fetch(request);
}
