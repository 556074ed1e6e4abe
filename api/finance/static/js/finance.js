// Finance's pages work without this; with it filters apply at once, a job's progress shows itself,
// and a form is sent once.

const LOOK_EVERY_MS = 1000;

for (const form of document.querySelectorAll("[data-filter]")) {
  for (const list of form.querySelectorAll("select")) {
    list.addEventListener("change", () => form.requestSubmit());
  }
}

// One form, one change: a second tap while the first is on its way does nothing.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent; // the browser went back
});

// "/" goes to the search box, wherever one is.
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
  event.preventDefault();
  const box = document.querySelector("[data-search-box]");
  if (box) box.focus();
  else document.querySelector("[data-menu] a[href*='/finance/search']")?.click();
});

/** While something is under way, draw the page's matter again from the hub. */
async function look() {
  const shown = document.querySelector("[data-refreshed]");
  if (!shown?.querySelector("[data-under-way]")) return;
  if (document.visibilityState === "visible" && !shown.contains(document.activeElement)) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.querySelector("[data-refreshed]");
      if (answer.ok && next) shown.replaceWith(next);
    } catch {
      // the hub is away: the next look may find it
    }
  }
  setTimeout(look, LOOK_EVERY_MS);
}
setTimeout(look, LOOK_EVERY_MS);
