// Changes the counter's screens without leaving the page: leaving would lock the speaker again,
// and the live line would have a gap. Links and forms say so by data-stage; without scripts they
// are ordinary links and forms.

import { fetchAnswer } from "/static/js/requests.js";

const SWAPPED = ["stage", "today", "tabs", "banner"]; // ids whose content comes from the new page

export class Stage {
  #turn = 0; // of two answers only the newest is shown
  #pressed = 0; // screens that a person asked for and that are on their way
  #isStale = false; // news came meanwhile

  /** @param {HTMLElement} counter the frame; dispatches "phopay:stage" when a screen was changed */
  constructor(counter) {
    this.counter = counter;
    this.element = document.getElementById("stage");
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("submit", (event) => this.#submitted(event));
    addEventListener("popstate", () => this.show(location.href, { push: false }));
    document.addEventListener("phopay:expired", () => this.refresh());
  }

  /** The bill whose screen this is, if any. */
  get billId() {
    return this.element.querySelector("[data-bill-id]")?.dataset.billId ?? null;
  }

  /** Whether a customer may be scanning a code right now. */
  get showsCode() {
    return this.element.querySelector("[data-shows-code=yes]") !== null;
  }

  /** Whether the screen waits for a code that its rail is about to give. */
  get isUnderWay() {
    return this.element.querySelector("[data-under-way]") !== null;
  }

  get isSalesList() {
    return this.element.querySelector("[data-sales-list]") !== null;
  }

  /** Whether an amount is being keyed: never taken away. */
  get isKeying() {
    return Boolean(this.element.querySelector("[data-keying] #amount")?.value);
  }

  /** Load the present screen again, unless somebody is keying an amount into it. */
  refresh() {
    if (this.isKeying) return this.refreshToday();
    return this.show(location.href, { push: false, isQuiet: true });
  }

  async refreshToday() {
    try {
      const { answer, body } = await fetchAnswer(this.counter.dataset.today);
      if (answer.ok) document.getElementById("today").innerHTML = body;
    } catch {
      /* the next event, or the line coming back, brings it */
    }
  }

  /** Put HTML that the hub drew on the stage at once; the address follows. */
  place(html, path) {
    this.#turn += 1;
    this.element.innerHTML = html;
    if (path && path !== location.pathname + location.search) history.pushState(null, "", path);
    scrollTo(0, 0);
  }

  /**
   * Fetch a page of the counter and show its screen.
   * @param {string} url
   * @param {{push?: boolean, isQuiet?: boolean, body?: FormData}} [options] with a body it is a form
   * @returns {Promise<boolean>} whether the screen is shown now
   */
  async show(url, { push = true, isQuiet = false, body = null } = {}) {
    // What a person pressed is shown, and the news after it: dropped, it would be pressed again.
    if (isQuiet && this.#pressed) {
      this.#isStale = true;
      return false;
    }
    if (!isQuiet) this.#pressed += 1;
    const turn = ++this.#turn;
    this.counter.setAttribute("aria-busy", "true");
    try {
      const { answer, body: html } = await fetchAnswer(url, {
        method: body ? "POST" : "GET",
        body: body && new URLSearchParams(body),
        headers: { Accept: "text/html" },
      });
      const page = new DOMParser().parseFromString(html, "text/html");
      if (turn !== this.#turn) return false;
      if (!page.getElementById("stage")) return this.#leave(answer, page, isQuiet);
      const isHeld = isQuiet && this.#isHeld(page);
      this.#swap(page, isHeld ? SWAPPED.filter((id) => id !== "stage") : SWAPPED);
      const moved = body && !answer.redirected ? null : answer.url;
      if (moved && moved !== location.href && (push || answer.redirected)) {
        history.pushState(null, "", moved);
      }
      if (!isQuiet) {
        scrollTo(0, 0);
        this.element.querySelector("h1")?.focus({ preventScroll: true });
      }
      document.dispatchEvent(new CustomEvent("phopay:stage", { detail: { isForm: Boolean(body) } }));
      return true;
    } catch {
      if (!isQuiet) this.complain(this.counter.dataset.noNetwork, this.counter.dataset.noNetworkNext);
      return false;
    } finally {
      if (turn === this.#turn) this.counter.removeAttribute("aria-busy");
      if (!isQuiet) this.#pressed -= 1;
      if (this.#isStale && !this.#pressed) {
        this.#isStale = false;
        this.refresh();
      }
    }
  }

  /** Show what went wrong above the stage, until the next screen. */
  complain(title, next = "") {
    const problem = document.getElementById("problem");
    problem.querySelector(".notice-title").textContent = title;
    problem.querySelector("[data-next]").textContent = next;
    problem.hidden = false;
  }

  /**
   * Whether the screen stays as it is: an amount is being keyed (begun, maybe, while the page was on
   * its way), or one empty keypad would replace another under a finger that is just pressing a key.
   */
  #isHeld(page) {
    const isKeypad = (root) => root.querySelector("#stage [data-keying]") !== null;
    return this.isKeying || (isKeypad(document) && isKeypad(page));
  }

  #swap(page, ids) {
    for (const id of ids) {
      const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
      if (!old || !fresh) continue;
      // What somebody has unfolded is the same all the same, and stays under their finger.
      const [shown, wanted] = [old, fresh].map(({ innerHTML }) => innerHTML.replaceAll(' open="">', ">"));
      if (shown !== wanted) old.innerHTML = fresh.innerHTML;
    }
    document.title = page.title;
    document.getElementById("problem").hidden = true;
  }

  /** The answer is no screen of the counter: the login, or an error in words. */
  #leave(answer, page, isQuiet) {
    if (answer.ok) location.assign(answer.url);
    else if (answer.status === 401) location.reload(); // to the login, and back here
    else if (!isQuiet) {
      const [title, next] = ["h1", "h1 + p"].map((part) => page.querySelector(part)?.textContent);
      this.complain(title ?? this.counter.dataset.noNetwork, next ?? "");
    }
    return false;
  }

  #clicked(event) {
    const link = event.target.closest("a[data-stage]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    if (link.closest("#news") && this.isKeying) return; // the next amount is being keyed already
    this.#showBusy(link, () => this.show(link.href));
  }

  async #submitted(event) {
    const form = event.target.closest("form[data-stage]");
    if (!form || event.defaultPrevented) return;
    event.preventDefault();
    if (form.dataset.busy) return;
    form.dataset.busy = "yes"; // a double tap sends once
    const pressed = form.querySelector(".btn[data-send]") ?? event.submitter;
    await this.#showBusy(pressed, () => this.show(form.action, { body: new FormData(form) }));
    delete form.dataset.busy;
  }

  /** Turn a wheel in what was pressed until the hub has answered. */
  async #showBusy(pressed, work) {
    pressed?.setAttribute("aria-busy", "true");
    try {
      await work();
    } finally {
      pressed?.removeAttribute("aria-busy");
    }
  }
}
