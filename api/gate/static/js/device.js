// This phone as a device of a lot: its key, its enrolment, its tokens, and what it signs.
//
// The key is made here and cannot be exported: it lies in IndexedDB as a CryptoKey, of which no
// script sees the bytes. Web Crypto exists on https and on localhost only.
// What is signed begins with its purpose: identity/devices/signatures.py has the same three.

import { fetchAnswer } from "/static/js/requests.js";

const STORE = "phopay-device";
const SHELF = "device";
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };
const ENROLMENT = "phopay device enrolment v1\n";
const CHALLENGE = "phopay device challenge v1\n";
const MOVEMENT = "phopay device movement v1\n";
const RENEW_BEFORE_MS = 60_000; // a token that ends so soon is not worth sending
const TURN_WITHIN_MS = 3000;
const RENEWING = "phopay-device-token"; // the lock that pages of one phone renew their tokens under

const text = new TextEncoder();

/** What the hub said no to: `code` is one of docs/errors.md, "no_answer" where nobody answered. */
export class Refused extends Error {
  constructor(code, detail, retryAfterS = null) {
    super(detail);
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/** Whether this browser can hold a key: it needs https (or localhost) and IndexedDB. */
export function canBeDevice() {
  return Boolean(globalThis.isSecureContext && crypto?.subtle && globalThis.indexedDB);
}

/** A code as it is signed, however it was typed: "dxa2 7k3m-q9pt" is "DXA27K3MQ9PT". */
export function plainCode(typed) {
  return typed.replaceAll(/[\s\u00a0\u2013-]/g, "").toUpperCase();
}

let found = null;

/** The device that this phone is, or null. The parts of a page share one, and so its token. */
export async function findDevice() {
  found ??= readDevice();
  try {
    const device = await found;
    if (!device) found = null; // it may be enrolled in another page
    return device;
  } catch (error) {
    found = null;
    throw error;
  }
}

/** As `findDevice`, read anew: for who outlives a page, as the service worker does. */
export async function readDevice() {
  const facts = await read("facts");
  const keys = await read("keys");
  return facts && keys ? new Device(facts, keys) : null;
}

/**
 * Enrol this phone by a code that a manager shows. Safe to repeat when an answer was lost: the key
 * is kept with its code before it is sent, and the hub answers the same code and key alike.
 */
export async function enrol(typed) {
  const code = plainCode(typed);
  const pending = await read("pending");
  const keys =
    pending?.code === code
      ? pending.keys
      : await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
  await write("pending", { code, keys });
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const answer = await ask("POST", "/v1/devices/enrol", {
    code,
    public_key: toBase64(publicKey),
    signature: await sign(keys, ENROLMENT, join(text.encode(`${code}\n`), publicKey)),
  });
  const facts = {
    deviceId: answer.device_id,
    name: answer.name,
    lotId: answer.lot_id,
    orgCode: answer.org_code,
  };
  await write("keys", keys);
  await write("facts", facts);
  await remove("pending");
  await navigator.storage?.persist?.(); // or the key goes when the phone is short of space
  found = null;
  return findDevice();
}

/** Forget the key: the phone is no device any longer. What was not sent must be sent before. */
export async function forgetDevice() {
  found = null;
  await Promise.all(["facts", "keys", "pending"].map(remove));
}

export class Device {
  #keys;
  #made = null; // what came with the last token
  #renewing = null;
  #forgotten = 0; // how often: what was on its way then is not kept

  constructor(facts, keys) {
    Object.assign(this, facts); // deviceId, name, lotId, orgCode
    this.#keys = keys;
  }

  /** How far this phone's clock is behind the hub's, in milliseconds; null before a first contact. */
  get offsetMs() {
    return this.#made?.offset_ms ?? null;
  }

  /** A token that is good for a minute at least. */
  async token() {
    return (await this.said()).token;
  }

  /**
   * What the hub said with such a token: token, staff_id, staff_name, shift_id, is_queue_only.
   * Several callers at once share one request.
   */
  async said() {
    if (this.#made && performance.now() < this.#made.renewAt) return this.#made;
    const began = this.#forgotten;
    this.#renewing ??= this.#renew().finally(() => {
      if (began === this.#forgotten) this.#renewing = null;
    });
    try {
      const made = await this.#renewing;
      if (began === this.#forgotten) return made;
    } catch (error) {
      if (began === this.#forgotten) throw error;
    }
    return this.said();
  }

  /** Send a request as this device; one whose token was refused is sent once more with a new one. */
  async ask(method, path, body) {
    const token = await this.token();
    try {
      return await ask(method, path, body, token);
    } catch (refused) {
      if (refused.code !== "device_token_not_valid") throw refused;
      this.forgetToken(token);
      return ask(method, path, body, await this.token());
    }
  }

  /**
   * Let the next request ask for a new token: what the last one says has changed, or the hub
   * refused it; one that was refused may have been replaced meanwhile.
   */
  forgetToken(refused = null) {
    if (refused && this.#made && this.#made.token !== refused) return;
    this.#forgotten += 1;
    this.#made = null;
    this.#renewing = null;
  }

  /** Who may be named on this phone: staff_id, name, has_pin, is_pin_locked. */
  async listPeople() {
    return (await this.ask("GET", "/v1/devices/me/people")).people;
  }

  /** Name who works with this phone. The PIN is sent and kept nowhere. */
  async namePerson(staffId, pin) {
    return this.#become(await this.ask("POST", "/v1/devices/me/person", { staff_id: staffId, pin }));
  }

  /** Let nobody be named any longer. */
  async forgetPerson() {
    return this.#become(await this.ask("DELETE", "/v1/devices/me/person"));
  }

  /** Sign a movement: base64 of r and s, over the bytes exactly as they are sent. */
  async signMovement(bytes) {
    return sign(this.#keys, MOVEMENT, bytes);
  }

  async #renew() {
    const began = this.#forgotten;
    const made = await inTurn(() => this.#prove());
    return began === this.#forgotten ? this.#keep(made) : made;
  }

  async #prove() {
    const path = `/v1/devices/${this.deviceId}`;
    const { challenge } = await ask("POST", `${path}/challenge`);
    return ask("POST", `${path}/token`, {
      org_code: this.orgCode,
      challenge,
      signature: await sign(this.#keys, CHALLENGE, text.encode(challenge)),
      device_at: new Date().toISOString(),
    });
  }

  #become(made) {
    this.forgetToken(); // one that is on its way names who was named before
    return this.#keep(made);
  }

  // How long it holds is counted by a clock that nobody sets: this phone's own may be wrong.
  #keep(made) {
    const holdsMs = Date.parse(made.expires_at) - Date.parse(made.hub_at);
    this.#made = { ...made, renewAt: performance.now() + holdsMs - RENEW_BEFORE_MS };
    return this.#made;
  }
}

/**
 * A later challenge ends an earlier one: pages of one phone take turns. A page that sleeps with
 * the lock is not waited for, and an old browser has none: one of two is refused then, as before.
 */
async function inTurn(act) {
  if (!navigator.locks) return act();
  let isOurTurn = false;
  try {
    return await navigator.locks.request(RENEWING, { signal: AbortSignal.timeout(TURN_WITHIN_MS) }, () => {
      isOurTurn = true;
      return act();
    });
  } catch (error) {
    if (isOurTurn) throw error;
    return act();
  }
}

async function sign(keys, purpose, bytes) {
  const whole = join(text.encode(purpose), bytes);
  return toBase64(new Uint8Array(await crypto.subtle.sign(SIGNING, keys.privateKey, whole)));
}

async function ask(method, path, body = null, token = null) {
  const headers = { Accept: "application/json", "X-Device-At": new Date().toISOString() };
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer, said;
  try {
    // Without cookies: a device is its key, whoever is signed in at this browser.
    ({ answer, body: said } = await fetchAnswer(path, {
      as: "json",
      method,
      headers,
      body: body && JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    }));
  } catch {
    throw new Refused("no_answer", "The hub did not answer.");
  }
  if (answer.ok) return said;
  const retryAfterS = Number(answer.headers.get("Retry-After")) || null;
  throw new Refused(said.code ?? "no_answer", said.detail ?? answer.statusText, retryAfterS);
}

function join(first, second) {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

// One small shelf in IndexedDB, which keeps keys that cannot be exported.

function open() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(STORE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(SHELF);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function run(mode, act) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(SHELF, mode);
      const request = act(transaction.objectStore(SHELF));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

const read = (name) => run("readonly", (shelf) => shelf.get(name));
const write = (name, value) => run("readwrite", (shelf) => shelf.put(value, name));
const remove = (name) => run("readwrite", (shelf) => shelf.delete(name));
