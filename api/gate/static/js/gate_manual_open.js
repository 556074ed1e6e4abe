// A barrier or gate that is opened by hand, with no command and for no vehicle of the list: a fire
// engine, a fallen barrier. Recorded with a reason and a photo, with or without a network.

import { takePhoto } from "/static/js/gate_camera.js";
import { buzz } from "/static/js/gate_feel.js";

export class ManualOpening {
  constructor(gate) {
    this.gate = gate;
    this.buttons = [...document.querySelectorAll("[data-manual-open]")];
    for (const button of this.buttons) {
      button.addEventListener("click", () => gate.screens.once(button, () => this.begin(button.dataset.manualOpen)));
    }
    document.addEventListener("gate:screen", () => this.show());
  }

  /** A movement is signed by the phone: one that is no device of the lot has no button. */
  show() {
    for (const button of this.buttons) button.inert = !this.gate.queue.isReady;
  }

  /** @param {"in"|"out"} direction of the lane that was opened */
  begin(direction) {
    const { gate } = this;
    const lanes = gate.lot.accesses.filter((lane) => lane.direction === direction || lane.direction === "both");
    if (lanes.length < 2) return this.#photograph(lanes[0]);
    const actions = lanes.map((lane) => ({ words: lane.name, icon: "key", run: () => this.#photograph(lane) }));
    return gate.screens.openSheet(gate.say("manual.which"), actions);
  }

  async #photograph(lane) {
    const { gate } = this;
    const { say } = gate;
    const photo = await takePhoto(gate, say("manual.hint"));
    if (photo) return this.#explain(lane, photo, {});
    // As at the way out: without a photo somebody who may override says why, or it has happened.
    if (gate.isLive && !gate.state.person.may_override) return gate.screens.complain(say("manual.photo_needed"));
    return gate.screens.ask(say("photo.why_none"), {
      send: say("photo.go_on"), icon: "check", hint: say("ways.other_reason"), choices: [say("photo.broken")],
      run: (words) => this.#explain(lane, null, { no_photo_reason: words }),
    });
  }

  #explain(lane, photo, more) {
    const { say } = this.gate;
    this.gate.screens.ask(say("lane.why"), {
      send: say("manual.keep"), icon: "key", hint: say("ways.other_reason"), choices: [say("lane.why_usual"), say("manual.urgent")],
      run: (reason) => this.#keep(lane, photo, { ...more, reason }),
    });
  }

  async #keep(lane, photo, said) {
    const { gate } = this;
    const facts = { ...said, ...(lane && { access_id: lane.id }), ...(photo?.hash && { photo: photo.hash }) };
    const shown = lane?.name ?? gate.say("manual.open");
    const id = await gate.queue.keep("manual_open", facts, shown);
    if (photo?.id) await gate.photos.attach(photo.id, { session_id: id, direction: "manual_open", shown });
    await gate.queue.flush();
    buzz("attention");
    const back = gate.screens.tab;
    gate.screens.verdict({
      tone: "attention",
      icon: "key",
      title: gate.say("lane.by_hand"),
      detail: [lane?.name, said.reason, (await gate.queue.unsent()) ? gate.say("offline.kept") : ""].filter(Boolean).join(" · "),
      actions: [{ words: gate.say("next"), icon: "check", look: "main", name: "next", run: () => gate.screens.show(back) }],
    });
  }
}
