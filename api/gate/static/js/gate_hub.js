// Calls of the hub by the attendant's phone, ids that the phone makes, and what an answer means.

import { fetchAnswer } from "/static/js/requests.js";
import { hubNow } from "/static/js/hub_clock.js";

/** The hub refused, and says why. */
export class Refused extends Error {
  /** @param {{code?: string, detail?: string}} problem RFC 9457 */
  constructor(status, problem) {
    super(problem?.detail ?? String(status));
    this.status = status;
    this.code = problem?.code ?? String(status);
  }
}

/** Nothing was answered in time: whether it was done is not known, and may be sent again. */
export class NoAnswer extends Error {}

export class Hub {
  /** @param {string} suffix "?org=…" or nothing */
  constructor(suffix = "") {
    this.suffix = suffix;
    this.device = null; // that acts, once a PIN has named somebody on it
    this.personId = null;
    this.onUnnamed = () => {};
  }

  /** Let the device's token act for a person, and not the browser's sign-in. */
  actAs(device, personId) {
    this.device = device;
    this.personId = personId;
  }

  get(path, options) {
    return this.#send("GET", path, undefined, options);
  }

  /**
   * Read what changes seldom: {etag, body}; the body is null where it is still what `etag` names.
   * @param {string} etag of the last answer, or nothing
   */
  getIfChanged(path, etag = "") {
    return this.#send("GET", path, undefined, { etag });
  }

  post(path, body = {}, options) {
    return this.#send("POST", path, body, options);
  }

  patch(path, body, options) {
    return this.#send("PATCH", path, body, options);
  }

  address(path) {
    if (!this.suffix) return path;
    return path + (path.includes("?") ? this.suffix.replace("?", "&") : this.suffix);
  }

  /** The device's token, if it still names the person who works here. */
  async #token() {
    let said;
    try {
      said = await this.device.said();
    } catch (error) {
      if (error.code === "no_answer") throw new NoAnswer("token");
      throw new Refused(401, error);
    }
    if (said.staff_id === this.personId) return said.token;
    this.onUnnamed();
    throw new Refused(401, { code: "person_not_named" });
  }

  async #send(method, path, body, { as = "json", withinMs, etag = null, mayRenew = true } = {}) {
    const isPicture = body instanceof Blob;
    const headers = { Accept: as === "json" ? "application/json" : "text/html" };
    if (body !== undefined) headers["Content-Type"] = isPicture ? body.type : "application/json";
    if (etag) headers["If-None-Match"] = etag;
    const token = this.device && (await this.#token());
    if (token) headers.Authorization = `Bearer ${token}`;
    let found;
    try {
      found = await fetchAnswer(this.address(path), {
        method,
        headers,
        body: body === undefined || isPicture ? body : JSON.stringify(body),
        as: "text",
        ...(this.device && { credentials: "omit" }),
        withinMs,
      });
    } catch {
      throw new NoAnswer(path);
    }
    const { answer, body: text } = found;
    if (answer.status === 401 && this.device) {
      this.device.forgetToken(token);
      if (mayRenew) return this.#send(method, path, body, { as, withinMs, etag, mayRenew: false });
    } else if (answer.status === 401) location.assign("/login?next=/gate");
    if (answer.status === 304) return { etag, body: null };
    if (!answer.ok) throw refusal(answer, text);
    if (as !== "json") return text;
    const read = JSON.parse(text || "null");
    return etag === null ? read : { etag: answer.headers.get("ETag") ?? "", body: read };
  }
}

function refusal(answer, text) {
  if (answer.status === 502 || answer.status === 504) return new NoAnswer(); // a proxy's
  try {
    return new Refused(answer.status, JSON.parse(text));
  } catch {
    return new Refused(answer.status, null);
  }
}

/** A UUIDv7 (RFC 9562) by the hub's clock. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const ms = Math.floor(hubNow());
  for (let at = 0; at < 6; at += 1) bytes[at] = Math.floor(ms / 256 ** (5 - at)) % 256;
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
