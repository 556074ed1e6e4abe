// The page that makes this phone a device of a lot (/gate/enrol). A QR brings the code behind the
// "#", which no server sees; it leaves the address at once.

import { canBeDevice, enrol, findDevice, plainCode } from "/static/js/device.js";

const page = document.getElementById("enrol");
const form = page.querySelector("form");
const field = form.elements.code;
const button = form.querySelector("button");

function show(step) {
  page.dataset.now = step;
  for (const one of page.querySelectorAll("[data-step]")) one.hidden = one.dataset.step !== step;
}

function say(code) {
  for (const one of page.querySelectorAll("[data-error]")) {
    one.hidden = one.dataset.error !== code;
  }
  field.setAttribute("aria-invalid", String(Boolean(code)));
}

function explain(code) {
  const known = page.querySelector(`[data-error="${CSS.escape(code)}"]`);
  say(known ? code : "other");
}

function showDevice(device) {
  for (const one of page.querySelectorAll("[data-device-name]")) one.textContent = device.name;
}

async function send(event) {
  event.preventDefault();
  if (button.disabled) return;
  say("");
  if (plainCode(field.value).length !== Number(field.dataset.chars)) {
    explain("enrolment_code_not_valid");
    field.focus();
    return;
  }
  button.disabled = true;
  try {
    const device = await enrol(field.value);
    await device.token(); // shows that the key works before anybody leaves the page
    showDevice(device);
    show("done");
    page.querySelector("[data-step=done] [tabindex]").focus();
  } catch (refused) {
    explain(refused.code ?? "other");
    field.focus();
  } finally {
    button.disabled = false;
  }
}

async function begin() {
  const brought = decodeURIComponent(location.hash.slice(1));
  if (brought) {
    history.replaceState(null, "", location.pathname + location.search);
    field.value = brought;
  }
  if (!canBeDevice()) {
    show("cannot");
    return;
  }
  form.addEventListener("submit", send);
  const device = await findDevice();
  if (device) showDevice(device);
  for (const one of page.querySelectorAll("[data-enrolled]")) one.hidden = !device;
  show("code");
  page.dataset.ready = "yes";
}

begin();
