// Keys for whoever works a list off: / finds, j and k go up and down, Enter opens, a goes to the
// first action, ? shows them. The pages work without this, and without a mouse by Tab.

const help = document.querySelector("[data-keys]");
const items = () => [...document.querySelectorAll("[data-items] [data-item]")];
const links = () => items().map((item) => item.querySelector("[data-open]"));

document.querySelector("[data-keys-hint]")?.removeAttribute("hidden");

/** Whether somebody types: their letters are theirs. */
function isTyping(target) {
  return target.matches("input, textarea, select, [contenteditable]");
}

/** The item that the focus is in; on the page of one item, that one. */
function current() {
  const focused = document.activeElement?.closest("[data-item]");
  return focused ?? (items().length ? null : document.querySelector("[data-item]"));
}

function go(step) {
  const all = links();
  if (!all.length) return;
  const at = items().indexOf(current());
  const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step;
  const link = all[Math.min(Math.max(next, 0), all.length - 1)];
  link.focus();
  link.closest("[data-item]").scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => document.querySelector("input[type=search]")?.focus(),
  j: () => go(1),
  k: () => go(-1),
  a: () => current()?.querySelector("[data-action]")?.focus(),
  "?": () => help?.showModal(),
};

document.addEventListener("keydown", (event) => {
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (!isPlain || isTyping(event.target) || help?.open) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault(); // the letter is not typed into the field that gets the focus
  act();
});
