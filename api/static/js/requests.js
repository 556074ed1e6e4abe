// Requests to the hub that end: a line that has gone without a word would hold a fetch for minutes.

export const ANSWER_WITHIN_MS = 8000; // longer than the hub itself waits for a bank (5 s)

/**
 * Send a request to the hub and read the whole answer within the limit.
 * @param {string} url
 * @param {RequestInit & {as?: "text"|"json"|"arrayBuffer", withinMs?: number}} [options] of fetch,
 *   and how the answer is read
 * @returns {Promise<{answer: Response, body: any}>}
 * @throws when there is no answer in time, or no network; the live line is looked at then, too
 */
export async function fetchAnswer(url, { as = "text", withinMs, ...options } = {}) {
  const limit = new AbortController();
  const { document } = globalThis; // a service worker has none
  const usualMs = Number(document?.documentElement.dataset.answerWithinMs ?? ANSWER_WITHIN_MS);
  const timer = setTimeout(() => limit.abort(), withinMs ?? usualMs);
  try {
    const answer = await fetch(url, { ...options, signal: limit.signal });
    return { answer, body: await answer[as]() };
  } catch (error) {
    document?.dispatchEvent(new CustomEvent("phopay:no-answer"));
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
