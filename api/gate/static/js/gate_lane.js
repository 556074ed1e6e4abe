// The barrier of a lane: opened by a command that is carried out within five seconds or never, and
// what became of it. Where it does not open, a person opens it by hand, with a reason and a photo.

import { takePhoto } from "/static/js/gate_camera.js";
import { buzz } from "/static/js/gate_feel.js";
import { newId } from "/static/js/gate_hub.js";

const VALID_S = 5; // the hub's: parking/lanes/rules.py
const ANSWER_WITHIN_MS = 9000; // the hub says what it knows after six seconds
const CLOSE_AFTER_MS = 2500; // the barrier is up: the next vehicle waits
const LOOKS = {
  sending: { tone: "plain", icon: "clock" },
  opened: { tone: "good", icon: "check" },
  stuck: { tone: "bad", icon: "stop" },
  silent: { tone: "attention", icon: "warning" },
  by_hand: { tone: "kept", icon: "note" },
};

export class Lanes {
  #timer = null;
  #lastId = null; // the lane that this phone stands at: offered first

  constructor(gate) {
    this.gate = gate;
    const { sheet } = gate.screens;
    sheet.addEventListener("close", () => sheet.open || this.#stopTimer()); // it may show the next state
  }

  /** The lanes of this way that open on a command. */
  of(direction) {
    const lanes = this.gate.lot.accesses.filter(
      (lane) => lane.has_controller && (lane.direction === direction || lane.direction === "both"),
    );
    return lanes.sort((one, other) => (other.id === this.#lastId) - (one.id === this.#lastId));
  }

  /**
   * The button that opens the barrier for a vehicle that was let through; none where there is none.
   * @param {"in"|"out"} direction
   * @param {{id: string}} stay
   * @returns {object[]} actions for a screen
   */
  actions(direction, stay, look = "") {
    if (!this.of(direction).length) return [];
    const run = () => this.open(direction, stay);
    return [{ words: this.gate.say("lane.open"), icon: "key", look, name: "lane", run }];
  }

  /** Open the barrier; of several the person says which. */
  open(direction, stay) {
    const lanes = this.of(direction);
    if (lanes.length === 1) return this.#send(lanes[0], stay);
    const actions = lanes.map((lane) => ({ words: lane.name, icon: "key", run: () => this.#send(lane, stay) }));
    return this.gate.screens.openSheet(this.gate.say("lane.which"), actions);
  }

  async #send(lane, stay, byHand = {}) {
    const { gate } = this;
    this.#lastId = lane.id;
    this.#show("sending", lane, []);
    const body = { id: newId(), session_id: stay.id, ...byHand };
    const path = `/v1/lots/${gate.lot.id}/accesses/${lane.id}/open`;
    const answer = await gate.attempt(() => gate.hub.post(path, body, { withinMs: ANSWER_WITHIN_MS }), {
      instead: {
        no_network: () => ({ state: "silent" }),
        lane_reason_needed: () => ({ state: "needs_words" }),
      },
    });
    this.#stopTimer();
    if (!answer) return gate.screens.sheet.close();
    if (answer.state === "needs_words") return this.#openByHand(lane, stay);
    return this.#showAnswer(answer.state, lane, stay, Boolean(byHand.reason));
  }

  #showAnswer(state, lane, stay, isByHand) {
    const { say } = this.gate;
    if (state === "opened") {
      buzz("left");
      this.#show("opened", lane, []);
      this.#timer = setTimeout(() => this.gate.screens.sheet.close(), CLOSE_AFTER_MS);
      return;
    }
    buzz("attention");
    // The reason and the photo are kept: whoever lifts the barrier has said why.
    if (isByHand) return this.#show("by_hand", lane, []);
    const again = { words: say("lane.again"), icon: "replay", name: "again", run: () => this.#send(lane, stay) };
    const byHand = { words: say("lane.by_hand_go"), icon: "key", name: "by_hand", look: "main", run: () => this.#openByHand(lane, stay) };
    this.#show(state, lane, state === "stuck" ? [again, byHand] : [byHand]);
  }

  async #openByHand(lane, stay) {
    const { gate } = this;
    const { say } = gate;
    const photo = await takePhoto(gate);
    if (!photo?.hash) return gate.screens.complain(say("problem.lane_reason_needed"));
    return gate.screens.ask(say("lane.why"), {
      send: say("lane.by_hand_go"), icon: "key", hint: say("ways.other_reason"), choices: [say("lane.why_usual")],
      run: (reason) => this.#send(lane, stay, { reason, photo: photo.hash }),
    });
  }

  #show(state, lane, actions) {
    const { gate } = this;
    const { tone, icon } = LOOKS[state];
    this.#stopTimer();
    if (gate.screens.sheet.open) gate.screens.sheet.close();
    gate.screens.openSheet(lane.name, actions, (body) => {
      const strip = Object.assign(document.createElement("div"), { className: "gate-strip" });
      strip.dataset.tone = tone;
      strip.dataset.lane = state;
      strip.setAttribute("role", "status");
      const words = document.createElement("p");
      words.textContent = gate.say(`lane.${state}`, { seconds: VALID_S });
      strip.append(gate.screens.icon(icon), words);
      body.prepend(strip);
      if (state === "sending") this.#countDown(words);
    });
  }

  #countDown(words) {
    let seconds = VALID_S;
    this.#timer = setInterval(() => {
      seconds = Math.max(0, seconds - 1);
      words.textContent = this.gate.say("lane.sending", { seconds });
    }, 1000);
  }

  #stopTimer() {
    clearTimeout(this.#timer); // an interval, too
    this.#timer = null;
  }
}
