// A paper's page: back to the phone's screens.

document.querySelector("[data-back]").addEventListener("click", () => {
  if (history.length > 1) history.back();
  else location.assign("/gate");
});
