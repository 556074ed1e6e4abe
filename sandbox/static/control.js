// Sends the control page's forms as JSON and keeps the tables fresh.
"use strict";

const REFRESH_EVERY_MS = 2000;
const note = document.getElementById("note");

for (const form of document.querySelectorAll("form[data-send]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
setInterval(refresh, REFRESH_EVERY_MS);

async function send(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    const value = valueOf(field);
    const [outer, inner] = field.name.split(".");
    if (inner) (body[outer] ??= {})[inner] = value;
    else body[outer] = value;
  }
  const answer = await fetch(form.dataset.send, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  note.textContent = answer.ok ? "✓" : (await answer.json()).detail;
  await refresh();
}

function valueOf(field) {
  if (field.type === "checkbox") return field.checked;
  if (field.dataset.type === "account") {
    const [bin, number] = field.value.split(" ");
    return { bin, number };
  }
  return field.dataset.type === "number" ? Number(field.value) : field.value;
}

async function refresh() {
  if (document.hidden) return;
  try {
    const page = await (await fetch(location.pathname)).text();
    const fresh = new DOMParser().parseFromString(page, "text/html").getElementById("live");
    if (fresh) document.getElementById("live").replaceWith(fresh);
  } catch {
    // The sandbox is gone or restarting; the next round tries again.
  }
}
