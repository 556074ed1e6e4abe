// What the phone does besides its screen: another buzz for each outcome, and a screen that stays on.

// Milliseconds on, off, on …: told apart with the phone in a hand and the eyes on the vehicle.
export const BUZZES = Object.freeze({
  opened: [60],
  pass: [60, 80, 60],
  paid: [60, 60, 60, 60, 240],
  unpaid: [350, 120, 350],
  attention: [200, 100, 200, 100, 200],
  left: [60],
});

export function buzz(outcome) {
  navigator.vibrate?.(BUZZES[outcome]);
}

/** Keep the screen on while the page is in front. */
export function keepAwake() {
  const ask = () => {
    if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", ask);
  ask();
}
