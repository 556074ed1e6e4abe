// The counter's voice. It speaks only what the bank has confirmed: the hub sends nothing else.
// Usage, states and events: docs/screens.md.

import { Clips } from "./clips.js";
import { hubNow } from "./hub_clock.js";
import { NORTH, SOUTH, numberWords, wordsFor } from "./words.js";

export { NORTH, SOUTH, numberWords, wordsFor };

export const STALE_AFTER_S = 60; // older news is counted, not read out one by one
const SUMMARY_DELAY_MS = 1500; // a reconnect brings its events one by one; count them together
const RETRY_MS = 5000; // when the clips could not be fetched
const REMEMBERED_MAX = 500; // ids and played entries kept, so that a counter can run for weeks
const STORE = "phopay.sound.";

const AMOUNT = Symbol("amount");
const COUNT = Symbol("count");
// kind → [chime, parts of the sentence]. Short money must never sound like paid money.
const SENTENCES = {
  paid: ["success", ["đã nhận", AMOUNT]],
  counter_sale: ["success", ["đã nhận", AMOUNT]],
  short: ["short", ["thiếu tiền", "mới nhận", AMOUNT]],
  over: ["attention", ["thừa tiền", "đã nhận", AMOUNT]],
  late: ["attention", ["tiền đến muộn", "đã nhận", AMOUNT]],
  repeated: ["attention", ["trả hai lần", "đã nhận", AMOUNT]],
  cancelled: ["attention", ["khoản đã hủy", "đã nhận", AMOUNT]],
  missed_summary: ["attention", [COUNT, "khoản lúc mất mạng"]],
  amount: [null, ["số tiền", AMOUNT]],
  offline: ["attention", ["mất kết nối"]],
  online: [null, ["đã kết nối lại"]],
  test: ["success", ["loa đang bật, nghe rõ không"]],
};

/**
 * What is said about one announcement.
 * @param {{kind: string, amountVnd?: number, count?: number}} announcement
 * @returns {{chime: string|null, parts: string[]}}
 */
export function sentenceFor({ kind, amountVnd, count }, dialect = NORTH) {
  if (!Object.hasOwn(SENTENCES, kind)) throw new RangeError(`unknown kind: ${kind}`);
  const [chime, parts] = SENTENCES[kind];
  const spell = (part) => {
    if (part === AMOUNT) return wordsFor(amountVnd, dialect).join(" ");
    return part === COUNT ? numberWords(count, dialect).join(" ") : part;
  };
  return { chime, parts: parts.map(spell) };
}

export class Speaker {
  /** What was played, oldest first: {id, kind, chime, words, startedAt, durationS, rms}. */
  played = [];

  #clips;
  #dialect;
  #context = null;
  #gain = null;
  #analyser = null;
  #queue = [];
  #isPlaying = false;
  #seen = new Set();
  #missed = 0;
  #summaryTimer = null;
  #last = null;
  #isMuted = recall("muted") === "yes";
  #volume = clamp(Number.parseFloat(recall("volume") ?? "1"));
  #hasFailed = false;
  #wakeLock = null;
  #wantsWakeLock = false;

  constructor({ base = "/static/audio/vi/", dialect = NORTH } = {}) {
    this.#clips = new Clips(base);
    this.#dialect = dialect;
    document.addEventListener("visibilitychange", () => this.#wake());
    // iOS interrupts a context for a phone call and lets it go on after a touch only.
    document.addEventListener("pointerdown", () => this.#wake());
    this.#clips.load().catch(() => {}); // unlock() and the first announcement try again
  }

  /** "locked" until the first tap, then "ready", "muted", "suspended" (by the system), "failed". */
  get state() {
    if (!this.#context) return "locked";
    if (this.#hasFailed) return "failed";
    if (this.isMuted) return "muted";
    return this.#context.state === "running" ? "ready" : "suspended";
  }

  get isMuted() {
    return this.#isMuted;
  }

  /** Loudness from 0 to 1, kept on this device. */
  get volume() {
    return this.#volume;
  }

  /** The last announcement about money, for "nghe lại"; null before the first. */
  get last() {
    return this.#last;
  }

  /** The node all sound passes through, so that a test can see that there was any. */
  get analyser() {
    return this.#analyser;
  }

  /** Call from a tap or a key press: browsers start sound from there only. */
  async unlock() {
    if (!this.#context) {
      this.#context = new AudioContext({ latencyHint: "playback" });
      this.#gain = new GainNode(this.#context);
      this.#level();
      this.#analyser = new AnalyserNode(this.#context, { fftSize: 2048 });
      this.#gain.connect(this.#analyser).connect(this.#context.destination);
      this.#context.addEventListener("statechange", () => {
        this.#notify();
        this.#pump();
      });
    }
    await this.#context.resume();
    this.#notify();
    this.#pump();
    return this.state;
  }

  mute(isMuted = true) {
    this.#isMuted = isMuted;
    store("muted", isMuted ? "yes" : "no");
    this.#level();
    this.#notify();
    this.#pump();
  }

  setVolume(volume) {
    this.#volume = clamp(volume);
    store("volume", String(this.#volume));
    this.#level();
  }

  /**
   * Say one announcement after those already waiting; never two at once.
   * An id that was received before is dropped: a reconnect repeats the last minute.
   * What happened over a minute ago is only counted: "ba khoản lúc mất mạng".
   * @param {{kind: string, amountVnd?: number, count?: number, id?: string, at?: number|string}}
   *   announcement `at` is when the hub learnt it: milliseconds since 1970, or ISO 8601
   * @returns {boolean} false if it was a repeat
   */
  announce(announcement) {
    const { id, at = hubNow() } = announcement;
    const sentence = sentenceFor(announcement, this.#dialect); // a wrong call fails here, aloud
    if (id !== undefined) {
      if (this.#seen.has(id)) return false;
      remember(this.#seen, id);
    }
    const atMs = typeof at === "number" ? at : Date.parse(at);
    if (announcement.amountVnd !== undefined && announcement.kind !== "amount") {
      this.#last = { ...announcement };
    }
    this.#queue.push({ ...announcement, ...sentence, atMs });
    if (this.#queue.length > REMEMBERED_MAX) this.#queue.shift(); // nobody ever tapped "Bật loa"
    this.#pump();
    return true;
  }

  /** Say the last payment again; false if there was none. */
  replay() {
    if (!this.#last) return false;
    this.announce({ ...this.#last, id: undefined, at: hubNow() });
    return true;
  }

  /** Say the test phrase, for the volume test. */
  test() {
    this.announce({ kind: "test" });
  }

  /**
   * Render an announcement without playing it.
   * @returns {Promise<{durationS: number, rms: number}>}
   */
  async renderOffline(announcement) {
    await this.#clips.load();
    const { chime, parts } = sentenceFor(announcement, this.#dialect);
    const sound = this.#clips.join(chime, parts);
    const context = new OfflineAudioContext(1, sound.length, sound.sampleRate);
    const source = new AudioBufferSourceNode(context, { buffer: sound });
    source.connect(context.destination);
    source.start();
    const rendered = await context.startRendering();
    return { durationS: rendered.duration, rms: rms(rendered.getChannelData(0)) };
  }

  /** Keep the screen on while this page is in front; false where the browser cannot. */
  async keepAwake() {
    this.#wantsWakeLock = true;
    if (!navigator.wakeLock || document.hidden) return false;
    try {
      this.#wakeLock = await navigator.wakeLock.request("screen");
    } catch {
      return false; // battery saver, or not allowed here: the page works on
    }
    return true;
  }

  /** Speak what waits, one after another, as long as sound can be made. */
  async #pump() {
    if (this.#isPlaying) return;
    this.#isPlaying = true;
    try {
      while (this.#context?.state === "running" && this.#queue.length) {
        await this.#clips.load();
        const next = this.#takeFresh();
        if (next) await this.#play(next);
      }
      if (this.#clips.isLoaded) this.#hasFailed = false;
    } catch (error) {
      this.#hasFailed = true; // the screen says so: silence must not look like no money
      console.error(error);
      setTimeout(() => this.#pump(), RETRY_MS);
    } finally {
      this.#isPlaying = false;
      this.#notify();
    }
  }

  /** The first waiting announcement that is not too old; the old ones are counted instead. */
  #takeFresh() {
    while (this.#queue.length) {
      const next = this.#queue.shift();
      if (this.#isMuted) continue; // it is seen on the screen, and "nghe lại" still works
      if (hubNow() - next.atMs <= STALE_AFTER_S * 1000) return next;
      this.#missed += 1;
      clearTimeout(this.#summaryTimer);
      this.#summaryTimer = setTimeout(() => this.#summarise(), SUMMARY_DELAY_MS);
    }
    return null;
  }

  #summarise() {
    const count = this.#missed;
    this.#missed = 0;
    this.announce({ kind: "missed_summary", count });
  }

  async #play({ id, kind, chime, parts }) {
    const sound = this.#clips.join(chime, parts);
    const source = new AudioBufferSourceNode(this.#context, { buffer: sound });
    source.connect(this.#gain);
    const entry = { id, kind, chime, words: parts.join(" "), durationS: sound.duration, rms: 0 };
    const ended = new Promise((resolve) => source.addEventListener("ended", resolve));
    const samples = new Float32Array(this.#analyser.fftSize);
    const meter = setInterval(() => {
      this.#analyser.getFloatTimeDomainData(samples);
      entry.rms = Math.max(entry.rms, rms(samples));
    }, 50);
    entry.startedAt = this.#context.currentTime;
    source.start();
    dispatch("phopay:speaking", entry);
    await ended;
    clearInterval(meter);
    this.played.push(entry);
    if (this.played.length > REMEMBERED_MAX) this.played.shift();
    dispatch("phopay:spoken", entry);
  }

  /** The page came to the front or was touched: go on where the system stopped us. */
  async #wake() {
    if (document.hidden) return;
    // Not awaited: where the browser still wants a touch, the promise never settles.
    if (this.#context && this.#context.state !== "running") this.#context.resume().catch(() => {});
    this.#pump();
    if (this.#wantsWakeLock && (!this.#wakeLock || this.#wakeLock.released)) await this.keepAwake();
  }

  #level() {
    if (this.#gain) this.#gain.gain.value = this.#isMuted ? 0 : this.#volume;
  }

  #notify() {
    dispatch("phopay:speaker", { state: this.state });
  }
}

function dispatch(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

function remember(ids, id) {
  ids.add(id);
  if (ids.size > REMEMBERED_MAX) ids.delete(ids.values().next().value);
}

function clamp(volume) {
  return volume >= 0 && volume <= 1 ? volume : 1;
}

function rms(samples) {
  return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
}

function recall(key) {
  try {
    return localStorage.getItem(STORE + key);
  } catch {
    return null; // storage is switched off: the choice lasts as long as the page
  }
}

function store(key, value) {
  try {
    localStorage.setItem(STORE + key, value);
  } catch {
    /* as above */
  }
}
