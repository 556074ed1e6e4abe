// The dashboard's live part is fetched anew while somebody looks at it; what cannot be reached says so.

const live = document.querySelector("[data-live-path]");
const lost = document.querySelector("[data-live-lost]");
const EVERY_MS = Number(live.dataset.everyS) * 1000;

async function refresh() {
  if (document.hidden || live.querySelector("details[open]")) return;
  try {
    const answer = await fetch(live.dataset.livePath, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    live.replaceChildren(...page.body.childNodes);
    lost.hidden = true;
  } catch {
    lost.hidden = false; // the figures stay, with their time
  }
}

setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
