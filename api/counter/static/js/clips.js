// Recorded phrases and chimes: fetched and decoded once, then joined into one piece of sound.

import { fetchAnswer } from "./requests.js";

const SAMPLES_PER_S = 44100;
const SILENT_BELOW = 0.004; // MP3 pads both ends of a clip; what is quieter than this is padding
const GAP_S = 0.03; // between words
const PAUSE_S = 0.16; // between parts of the sentence, and after the chime
const TAIL_S = 0.1; // cheap speakers swallow the last moment of a sound

const CLIP_WITHIN_MS = 30_000; // all are fetched at once, over a market's mobile network

export class Clips {
  #phrases = new Map(); // phrase → Float32Array
  #chimes = new Map(); // name → Float32Array
  #loading = null;

  /** @param {string} base folder of manifest.json and the clips, with its last slash */
  constructor(base) {
    this.base = base;
  }

  get isLoaded() {
    return this.#phrases.size > 0;
  }

  /** Fetch and decode everything once; after a failure the next call tries again. */
  load() {
    this.#loading ??= this.#load().catch((error) => {
      this.#loading = null;
      throw error;
    });
    return this.#loading;
  }

  async #load() {
    const manifest = await fetchOk(`${this.base}manifest.json`, "json");
    // An offline context decodes without the first tap that a playing context has to wait for.
    const decoder = new OfflineAudioContext(1, 1, SAMPLES_PER_S);
    const decode = async ([name, file]) => {
      const clip = await fetchOk(`${this.base}${file}?v=${manifest.version}`, "arrayBuffer");
      const buffer = await decoder.decodeAudioData(clip);
      return [name, withoutPadding(buffer.getChannelData(0))];
    };
    const [phrases, chimes] = await Promise.all(
      [manifest.phrases, manifest.chimes].map((named) =>
        Promise.all(Object.entries(named).map(decode)),
      ),
    );
    this.#chimes = new Map(chimes);
    this.#phrases = new Map(phrases);
  }

  /**
   * Join a chime and the parts of a sentence; call load() first.
   * @param {string|null} chime its name in the manifest
   * @param {string[]} parts texts such as "đã nhận"; each is cut into the longest recorded phrases
   * @returns {AudioBuffer} mono
   */
  join(chime, parts) {
    const pieces = []; // [samples, seconds of silence after them]
    if (chime) pieces.push([this.#chimes.get(chime), PAUSE_S]);
    for (const part of parts) {
      const phrases = this.#cut(part.split(" "));
      phrases.forEach((phrase, i) => {
        const isLast = i === phrases.length - 1;
        pieces.push([this.#phrases.get(phrase), isLast ? PAUSE_S : GAP_S]);
      });
    }
    const lengths = pieces.map(([samples, silenceS]) => samples.length + samplesIn(silenceS));
    const length = lengths.reduce((sum, n) => sum + n, samplesIn(TAIL_S));
    const sound = new AudioBuffer({ length, numberOfChannels: 1, sampleRate: SAMPLES_PER_S });
    let at = 0;
    pieces.forEach(([samples], i) => {
      sound.copyToChannel(samples, 0, at);
      at += lengths[i];
    });
    return sound;
  }

  /** Cut syllables into recorded phrases, always the longest that fits. */
  #cut(syllables) {
    const phrases = [];
    for (let start = 0; start < syllables.length; ) {
      let end = syllables.length;
      while (end > start && !this.#phrases.has(syllables.slice(start, end).join(" "))) end -= 1;
      if (end === start) throw new Error(`no clip says "${syllables[start]}"`);
      phrases.push(syllables.slice(start, end).join(" "));
      start = end;
    }
    return phrases;
  }
}

async function fetchOk(address, as) {
  const { answer, body } = await fetchAnswer(address, { as, withinMs: CLIP_WITHIN_MS });
  if (!answer.ok) throw new Error(`${address}: HTTP ${answer.status}`);
  return body;
}

function withoutPadding(samples) {
  let first = 0;
  let end = samples.length;
  while (first < end && Math.abs(samples[first]) < SILENT_BELOW) first += 1;
  while (end > first && Math.abs(samples[end - 1]) < SILENT_BELOW) end -= 1;
  return samples.slice(first, end);
}

function samplesIn(seconds) {
  return Math.round(seconds * SAMPLES_PER_S);
}
