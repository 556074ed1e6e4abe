// The managers' pages work without this; with it filters apply at once and the menu shows where one is.

for (const form of document.querySelectorAll("[data-filter]")) {
  for (const list of form.querySelectorAll("select")) {
    list.addEventListener("change", () => form.requestSubmit());
  }
}

const here = document.querySelector("[data-menu] [aria-current]");
here?.scrollIntoView({ block: "nearest", inline: "center" });

// One form, one change: a second tap while the first is on its way does nothing.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent; // the browser went back
});

// The tariff editor: another way to charge has other fields, which the hub draws.
for (const form of document.querySelectorAll("[data-tariff-editor]")) {
  for (const list of form.querySelectorAll("select[name$=_shape]")) {
    list.addEventListener("change", () => form.requestSubmit(form.querySelector("[data-refresh]")));
  }
}

// The page names the paper; its style sheet has the sizes.
for (const button of document.querySelectorAll("[data-print-on]")) {
  button.addEventListener("click", () => {
    document.documentElement.dataset.paper = button.dataset.printOn;
    print();
  });
}
