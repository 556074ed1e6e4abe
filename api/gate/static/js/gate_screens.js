// The screens of the attendant's phone: one is shown at a time; the back key leads to its tab.

import { fillMoney } from "/static/js/gate_words.js";

const TABS = { open: "shift", enter: "enter", find: "find", stay: "find", code: "find", verdict: null, shift: "shift", close: "shift", report: "shift" };
const PROBLEM_MS = 6000;

export class Screens {
  #problemTimer = null;

  constructor(root) {
    this.root = root;
    this.name = "";
    this.tab = "enter";
    this.icons = new Map(
      [...root.querySelector("#icons").content.children].map((one) => [one.dataset.name, one.firstElementChild]),
    );
    this.sheet = root.querySelector("#sheet");
    this.sheet.querySelector("[data-close-sheet]").addEventListener("click", () => this.sheet.close());
    addEventListener("popstate", (event) => {
      if (this.sheet.open) this.sheet.close();
      if (event.state?.screen) this.show(event.state.screen, { isBack: true });
    });
  }

  /** The element of a screen. */
  of(name) {
    return this.root.querySelector(`[data-screen=${name}]`);
  }

  /**
   * Show a screen. The first step away from a tab is one step back for the phone's own back key.
   * @param {string} name
   */
  show(name, { isBack = false } = {}) {
    const tab = TABS[name] ?? this.tab;
    for (const one of this.root.querySelectorAll("[data-screen]")) one.hidden = one.dataset.screen !== name;
    for (const one of this.root.querySelectorAll(".gate-tabs [data-go]")) {
      one.toggleAttribute("aria-current", one.dataset.go === tab);
    }
    const isTab = name === tab;
    if (!isBack) {
      if (isTab || history.state?.screen !== tab) history.replaceState({ screen: tab }, "");
      else history.pushState({ screen: tab }, "");
    }
    const wasOther = this.name !== name;
    this.name = name;
    this.tab = tab;
    if (wasOther) this.clearProblem();
    this.of(name).querySelector("[tabindex='-1']")?.focus({ preventScroll: true });
    scrollTo(0, 0);
    document.dispatchEvent(new CustomEvent("gate:screen", { detail: { name } }));
  }

  /** Say what went wrong, over whatever screen is shown. */
  complain(words) {
    const problem = document.getElementById("problem");
    problem.querySelector("p").textContent = words;
    problem.hidden = false;
    clearTimeout(this.#problemTimer);
    this.#problemTimer = setTimeout(() => this.clearProblem(), PROBLEM_MS);
  }

  clearProblem() {
    document.getElementById("problem").hidden = true;
  }

  icon(name) {
    return this.icons.get(name).cloneNode(true);
  }

  /**
   * A large button.
   * @param {{words: string, icon: string, look?: string, run: () => void, name?: string}} action
   */
  button({ words, icon, look = "", run, name = "" }) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "gate-btn";
    if (look) button.dataset.look = look;
    if (name) button.dataset.action = name;
    const text = document.createElement("span");
    text.textContent = words;
    button.append(this.icon(icon), text);
    button.addEventListener("click", () => this.once(button, run));
    return button;
  }

  /**
   * Run what a button does. Until it has ended a second tap does nothing, and the actions offered
   * beside it wait: a payment is not taken back while the vehicle that it paid for is let out.
   */
  async once(button, run) {
    if (button.getAttribute("aria-busy") === "true") return;
    const beside = [...(button.closest("[data-actions]")?.children ?? [])].filter((one) => one !== button);
    button.setAttribute("aria-busy", "true");
    for (const one of beside) one.inert = true;
    try {
      await run();
    } finally {
      button.removeAttribute("aria-busy");
      for (const one of beside) one.inert = false;
    }
  }

  /**
   * Say an outcome with the whole screen.
   * @param {{tone: string, icon: string, title: string, plate?: string, amountVnd?: number|null,
   *   detail?: string, actions: object[]}} verdict
   */
  verdict({ tone, icon, title, plate = "", amountVnd = null, detail = "", actions }) {
    const screen = this.of("verdict");
    screen.dataset.tone = tone;
    screen.querySelector("[data-icon]").replaceChildren(this.icon(icon));
    screen.querySelector("[data-title]").textContent = title;
    screen.querySelector("[data-plate]").textContent = plate;
    screen.querySelector("[data-detail]").textContent = detail;
    const money = screen.querySelector("[data-amount]");
    money.hidden = amountVnd === null;
    if (amountVnd !== null) fillMoney(money, amountVnd);
    screen.querySelector("[data-actions]").replaceChildren(...actions.map((one) => this.button(one)));
    this.show("verdict");
  }

  /**
   * Ask for a text: a reason, a ticket's number, a plate.
   * @param {string} title
   * @param {{send: string, icon: string, choices?: string[], value?: string, inputMode?: string,
   *   hint?: string, run: (text: string) => void}} options choices are sent by one tap
   */
  ask(title, { send, icon, choices = [], value = "", inputMode = "text", hint = "", run }) {
    this.openSheet(title, choices.map((words) => ({ words, icon, run: () => run(words) })), (body) => {
      const form = document.createElement("form");
      form.className = "gate-ask";
      const input = Object.assign(document.createElement("input"), {
        className: "gate-input", name: "said", value, inputMode, autocomplete: "off", maxLength: 200,
        required: true, placeholder: hint,
      });
      input.setAttribute("aria-label", title);
      const button = this.button({ words: send, icon, look: "main", run: () => {} });
      button.type = "submit";
      form.append(input, button);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const said = input.value.trim();
        if (!said) return;
        this.sheet.close();
        run(said);
      });
      body.append(form);
      if (!choices.length) setTimeout(() => input.focus(), 0);
    });
  }

  /** Open a sheet of large buttons, or of what `fill` puts into it. */
  openSheet(title, actions, fill = null) {
    this.sheet.querySelector("h2").textContent = title;
    const body = this.sheet.querySelector("[data-sheet-body]");
    const closing = (action) => ({
      ...action,
      run: () => {
        this.sheet.close();
        return action.run();
      },
    });
    body.replaceChildren(...actions.map((one) => this.button(closing(one))));
    fill?.(body);
    this.sheet.showModal();
  }
}
