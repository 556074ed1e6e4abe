// What is rarer at the way out: on behalf, exempt, a lost ticket, out without paying, a plate that
// differs, a correction, and what is printed.

import { canPayAhead, chooseAhead } from "/static/js/gate_ahead.js";
import { takePhoto } from "/static/js/gate_camera.js";
import { compactPlate, drawPlate } from "/static/js/gate_words.js";

export class OtherWays {
  constructor(gate, stays) {
    this.gate = gate;
    this.stays = stays;
  }

  open() {
    const { gate, stays } = this;
    const { say } = gate;
    const { stay } = stays;
    const owes = stay.due_vnd > 0;
    const actions = [
      ...(stay.pass_offer ? stays.payments() : []), // in place of which the pass is offered
      canPayAhead(gate, stay) && { words: say("ways.ahead"), icon: "clock", name: "ahead", run: () => chooseAhead(gate, stay) },
      owes && stay.plate && !/bicycle|motorbike/.test(stay.vehicle_class) && { words: say("ways.toll"), icon: "car", name: "toll", run: () => stays.chargeToll() },
      owes && { words: say("ways.float"), icon: "person", name: "float", run: () => this.#take("float", say("paid.float")) },
      owes && { words: say("ways.exempt"), icon: "check", name: "exempt", run: () => this.#exempt() },
      ...this.offerLost(), // owed or not: papers are shown all the same
      owes && { words: say("ways.unconfirmed"), icon: "phone", name: "unconfirmed", run: () => this.#force("unconfirmed") },
      owes && { words: say("ways.arrears"), icon: "warning", name: "arrears", run: () => this.#force("arrears") },
      { words: say("ways.manual"), icon: "key", name: "manual", run: () => this.#force("manual") },
      { words: say("ways.correct"), icon: "note", name: "correct", run: () => this.#correct() },
      { words: say("ways.ticket"), icon: "qr", name: "ticket", run: () => this.print(`stays/${stay.id}/ticket`) },
    ];
    gate.screens.openSheet(stays.plate, actions.filter(Boolean));
  }

  /** Open a page that the browser prints on a 58 mm roll, or shows. */
  print(path) {
    location.assign(this.gate.hub.address(`/gate/lots/${this.gate.lot.id}/${path}`));
  }

  async #take(rail, detail, more = {}) {
    const taken = await this.stays.collect(this.stays.stay, rail, more);
    if (!taken) return this.stays.readAgain();
    return this.stays.afterTaking(taken, detail);
  }

  /** The vehicle has a pass that it did not come in on: it is used from now on. */
  usePass({ id, holder }) {
    return this.#take("pass", holder, { pass_id: id });
  }

  #exempt() {
    const { say } = this.gate;
    this.gate.screens.ask(say("ways.why_exempt"), {
      send: say("ways.exempt"), icon: "check", hint: say("ways.other_reason"), choices: [say("ways.exempt_official"), say("ways.exempt_disabled")],
      run: (reason) => this.#take("exempt", reason, { reason }),
    });
  }

  /** The button for a lost ticket, while it is not reported: of whom anything is known by which it came in. */
  offerLost() {
    const { stay, isTicketLost } = this.stays;
    const mayReport = !isTicketLost && !stay.is_ticket_lost && (stay.plate || stay.ticket);
    if (!mayReport) return [];
    return [{ words: this.gate.say("ways.lost"), icon: "ticket", name: "lost", run: () => this.reportLost() }];
  }

  /** The ticket is lost: a photo of what proves whose vehicle it is, then what that costs. */
  async reportLost() {
    const { gate, stays } = this;
    const { say } = gate;
    const { stay, plate } = stays;
    const photo = await takePhoto(gate, say("ways.lost_photo"));
    if (photo?.hash) return this.#sendLost({ photo: photo.hash });
    if (photo?.id) {
      await gate.photos.attach(photo.id, { session_id: stay.id, direction: "lost_ticket", shown: plate });
      return stays.open(stay.id, { isTicketLost: true });
    }
    if (stay.is_offline) return gate.screens.complain(say("ways.lost_needs_photo"));
    return gate.screens.ask(say("ways.why_no_photo"), {
      send: say("ways.lost"), icon: "ticket", hint: say("ways.other_reason"), choices: [say("ways.no_photo_usual")],
      run: (reason) => this.#sendLost({ reason }),
    });
  }

  async #sendLost(body) {
    const { gate, stays } = this;
    const reported = await gate.attempt(() => gate.hub.post(stays.path("/lost-ticket"), body));
    if (reported) await stays.open(stays.stay.id, { isTicketLost: true });
  }

  /** Let it out though something is due, or open by hand: a photo and a reason are kept. */
  #force(forced) {
    const { gate, stays } = this;
    const { say } = gate;
    return stays.photo.demand(forced, (more) =>
      gate.screens.ask(say(`ways.why_${forced}`), {
        send: say("leave.send"), icon: "leave", hint: say("ways.other_reason"), choices: [say(`ways.${forced}_usual`)],
        run: (reason) => stays.leave({ forced, reason, ...more }),
      }),
    );
  }

  #correct() {
    const { gate, stays } = this;
    gate.screens.ask(gate.say("ways.correct"), {
      send: gate.say("ways.save"), icon: "check", value: stays.stay.plate ?? "",
      run: async (said) => {
        const body = { plate: compactPlate(said), vehicle_class: stays.stay.vehicle_class };
        const changed = await gate.attempt(() => gate.hub.patch(stays.path(""), body));
        if (changed) await stays.open(stays.stay.id);
      },
    });
  }

  /** Another plate goes out than came in: both side by side, and a person decides. */
  comparePlates(more) {
    const { gate, stays } = this;
    const { say } = gate;
    const { stay, photo } = stays;
    const shoot = async () => {
      await photo.take();
      return this.comparePlates(more);
    };
    const actions = [
      !photo.isTaken && { words: say("photo.take"), icon: "camera", look: "main", name: "shoot", run: shoot },
      { words: say("differs.go"), icon: "leave", look: "bad", name: "confirm", run: () => stays.leave({ ...more, is_plate_confirmed: true }) },
    ];
    gate.screens.openSheet(say("differs.title"), actions.filter(Boolean), (body) => {
      const facts = document.createElement("dl");
      facts.className = "gate-compare";
      const isTwoWheeled = /motorbike/.test(stay.vehicle_class);
      const seen = drawPlate(stays.seenPlate, isTwoWheeled);
      for (const [words, plate, link] of [["differs.in", stays.plate, stay.photo], ["differs.out", seen, photo.link]]) {
        const row = document.createElement("div");
        const name = Object.assign(document.createElement("dt"), { textContent: say(words) });
        const value = Object.assign(document.createElement("dd"), { textContent: plate, className: "plate", translate: false });
        row.append(name, value);
        const photo = Object.assign(document.createElement("dd"), { className: "gate-compare-photo" });
        photo.append(link ? Object.assign(new Image(), { src: link, alt: "" }) : say("differs.no_photo"));
        row.append(photo);
        facts.append(row);
      }
      body.prepend(facts);
    });
  }
}
