// The gate's service worker: the phone's page and all that it is made of open without a network.
// /gate/worker.js puts before it what SHELL and VERSION are.
/* global SHELL, VERSION */

const SHELL_CACHE = `gate-${VERSION}`;
const PAGE_CACHE = "gate-page"; // who is signed in: forgotten when they sign out
const PAGE = "/gate";
const PAGE_WITHIN_MS = 4000;

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(SHELL_CACHE).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith("gate-") && name !== SHELL_CACHE && name !== PAGE_CACHE) await caches.delete(name);
      }
      await self.clients.claim();
      await keepPage();
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
  if (event.data === "keep-page") event.waitUntil(keepPage());
});

// Background Sync: the network is back, and a page that is open sends its queue.
self.addEventListener("sync", (event) => {
  if (event.tag !== "gate-flush") return;
  event.waitUntil(
    self.clients.matchAll().then((pages) => {
      for (const page of pages) page.postMessage("flush");
    }),
  );
});

async function showPage(request) {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(PAGE_WITHIN_MS) });
    if (answer.ok && !answer.redirected) await keep(answer.clone());
    return answer;
  } catch (error) {
    const kept = await caches.match(PAGE, { cacheName: PAGE_CACHE });
    if (!kept) throw error;
    return kept;
  }
}

async function keepPage() {
  try {
    const answer = await fetch(PAGE, { headers: { Accept: "text/html" } });
    if (answer.ok && !answer.redirected) await keep(answer);
  } catch {
    /* without a network there is nothing new to keep */
  }
}

// The hub's time on a page that is shown hours later would be believed: js/hub_clock.js.
async function keep(answer) {
  const page = (await answer.text()).replace(/ data-hub-now="[^"]*"/, "");
  const kept = new Response(page, { headers: answer.headers });
  await (await caches.open(PAGE_CACHE)).put(PAGE, kept);
}

async function showStatic(request, url) {
  const shell = await caches.open(SHELL_CACHE);
  const kept = await shell.match(url.pathname);
  return kept ?? fetch(request);
}
