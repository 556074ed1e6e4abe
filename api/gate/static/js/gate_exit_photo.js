// The photo of a vehicle at the way out: taken beside the typing or on its screen, compared where its
// plate is another one, and asked for where it leaves unpaid.

import { takePhoto } from "/static/js/gate_camera.js";

export class ExitPhoto {
  #photo = null; // { hash?, id?, link } of what stands at the way out

  constructor(gate, stays) {
    this.gate = gate;
    this.stays = stays;
    this.row = stays.screen.querySelector("[data-photos]");
    this.button = this.row.querySelector("[data-photo-out]");
    this.button.addEventListener("click", () => gate.screens.once(this.button, () => this.take()));
  }

  get taken() {
    return this.#photo;
  }

  get isTaken() {
    return this.#photo !== null;
  }

  get link() {
    return this.#photo?.link ?? null;
  }

  /** What was photographed before it was known whose it is; null for another vehicle. */
  use(photo) {
    this.#photo = photo;
  }

  /** Show the photo of the way in, and that of the way out or the button that takes one. */
  show(stay) {
    const { gate, row } = this;
    row.hidden = this.stays.debts.isOpen;
    const entry = row.querySelector("[data-photo]");
    entry.replaceChildren();
    if (stay.photo) entry.append(picture(stay.photo), Object.assign(document.createElement("span"), { textContent: gate.say("differs.in") }));
    const words = row.querySelector("[data-photo-out-word]");
    words.textContent = gate.say(this.isTaken ? "photo.taken" : "photo.take");
    this.button.setAttribute("aria-pressed", String(this.isTaken));
    this.button.querySelector("img")?.remove();
    if (this.link) this.button.prepend(picture(this.link));
  }

  async take() {
    const photo = await takePhoto(this.gate, this.gate.say("photo.hint"));
    if (!photo) return null;
    this.#photo = photo;
    this.show(this.stays.stay);
    return photo;
  }

  /** The hub does not take it: it is another vehicle's, or lost. */
  drop(code) {
    this.#photo = null;
    this.show(this.stays.stay);
    this.gate.screens.complain(this.gate.say.problem(code));
  }

  /** What an exit says of the photo. */
  facts() {
    return this.#photo?.hash ? { photo: this.#photo.hash } : {};
  }

  /** One that the phone keeps is sent later, and belongs to this stay. */
  async attach(stay, shown) {
    if (this.#photo?.id) await this.gate.photos.attach(this.#photo.id, { session_id: stay.id, direction: "out", shown });
  }

  /**
   * Go on with a photo of a vehicle that leaves unpaid; without one with the reason why there is none.
   * As the hub: who drove off is gone, of others only who may override says so (docs/parking.md).
   * @param {"arrears"|"unconfirmed"|"manual"} forced
   * @param {(more: {no_photo_reason?: string}) => any} run
   */
  async demand(forced, run) {
    const { gate } = this;
    const { say } = gate;
    if (this.isTaken || (await this.take())) return run({});
    const mayGoWithout = forced === "arrears" || gate.state.person.may_override || this.stays.stay.is_offline;
    if (!mayGoWithout) return gate.screens.complain(say.problem("exit_photo_needed"));
    const choices = [...(forced === "arrears" ? [say("photo.gone")] : []), say("photo.broken")];
    return gate.screens.ask(say("photo.why_none"), {
      send: say("photo.go_on"), icon: "check", hint: say("ways.other_reason"), choices,
      run: (reason) => run({ no_photo_reason: reason }),
    });
  }
}

function picture(src) {
  return Object.assign(new Image(), { src, alt: "" });
}
