// A new release of the page: its worker has taken over while this page still runs the scripts of before.
// It is loaded anew, once, as soon as nobody is in the middle of something.

const LOOK_EVERY_MS = 1000;
const STILL_FOR_MS = 10_000; // as long as what was done last can be undone
const AT_REST = new Set(["", "open", "enter", "find", "shift"]);
const HELD = "[data-photo][aria-pressed=true], [data-ticket][aria-pressed=true], [data-find-photo][aria-pressed=true]";

/** Load the page anew once another release's worker has it. */
export function followReleases(gate) {
  const { serviceWorker } = navigator;
  if (!serviceWorker) return;
  let hadWorker = Boolean(serviceWorker.controller);
  let touchedAt = performance.now();
  let timer = null;
  const touch = () => {
    touchedAt = performance.now();
  };
  for (const kind of ["pointerdown", "keydown", "input"]) addEventListener(kind, touch, { capture: true, passive: true });
  const look = () => {
    if (performance.now() - touchedAt < STILL_FOR_MS || !isAtRest(gate)) return;
    clearInterval(timer);
    location.reload();
  };
  serviceWorker.addEventListener("controllerchange", () => {
    // The first worker of a page that had none is no other release's.
    if (hadWorker) timer ??= setInterval(look, LOOK_EVERY_MS);
    hadWorker = true;
  });
}

/** Whether nothing is half done: no vehicle typed or photographed, no sheet, no answer awaited. */
function isAtRest({ screens }) {
  if (!AT_REST.has(screens.name)) return false;
  const { root } = screens;
  if (root.querySelector("dialog[open], [aria-busy=true]")) return false;
  const screen = screens.name && screens.of(screens.name);
  if (!screen) return true;
  const isTyped = [...screen.querySelectorAll("input, textarea")].some(
    (one) => !["radio", "checkbox", "hidden"].includes(one.type) && one.value !== one.defaultValue,
  );
  return !isTyped && !screen.querySelector(HELD);
}
