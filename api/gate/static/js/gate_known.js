// What a phone knows of a vehicle inside, put together of what the hub says and what it knew before.

import { hubNow } from "/static/js/hub_clock.js";

export const APPLIED_WITHIN_MS = 600_000; // the hub applies payments and exits after it has taken them

/** What is kept of a vehicle inside: what is said of it now, and what was known before. */
export function mergeStay(stay, before, { list, isHubBehind: mayLag }) {
  const { id, vehicle_class, plate, ticket, entered_at } = stay;
  const code = before?.code && { code: before.code };
  return { id, vehicle_class, plate, ticket, entered_at, ...passOf(stay, before, list), ...mergeMoney(stay, before, mayLag), ...code };
}

/** The pass of a stay: as the hub says, or as the phone's list did; its last day may have moved. */
function passOf({ is_pass: isPass = false, is_pass_unsure: isUnsure, pass_id: id, pass_until: until, pass: listed = null }, before, list) {
  if (!isPass) return { is_pass: false, ...(isUnsure && { is_pass_unsure: true }) };
  if (listed) return { is_pass: true, pass_id: listed.id, pass: listed };
  const same = before && before.pass_id === id ? before : {};
  const pass = list?.passes[id] ?? (same.pass && { ...same.pass, listed_at: null }) ?? null;
  return { is_pass: true, pass_id: id, pass, pass_until: until ?? same.pass_until ?? null };
}

/** What was paid for a stay, until when that lets it stay, and whether its ticket is lost. */
export function mergeMoney({ settled_vnd: settledVnd = null, paid_until: until = null, is_ticket_lost: isLost }, before, mayLag) {
  const known = { paid_vnd: before?.paid_vnd ?? 0, paid_until: before?.paid_until ?? 0, is_ticket_lost: before?.is_ticket_lost ?? false };
  const noted = before?.noted_at ? { noted_at: before.noted_at } : {};
  if (settledVnd === null) return { ...known, ...noted };
  const said = { paid_vnd: settledVnd, paid_until: until ? Date.parse(until) : 0, is_ticket_lost: isLost ?? known.is_ticket_lost };
  if (!mayLag) return said;
  return {
    paid_vnd: Math.max(known.paid_vnd, said.paid_vnd),
    paid_until: Math.max(known.paid_until, said.paid_until),
    is_ticket_lost: known.is_ticket_lost || said.is_ticket_lost,
    ...noted,
  };
}

/** Whether the hub may not know yet what this phone knows of a stay: it waits here, or there. */
export function isHubBehind(before, unsent) {
  return before !== undefined && (unsent.has(before.id) || hubNow() - (before.noted_at ?? -Infinity) < APPLIED_WITHIN_MS);
}

/** What the hub shows of a vehicle that is known here, on its pass or on none. */
export function mergeShown(stay, before, mayLag) {
  const pass = stay.pass_id ? { is_pass: true, pass_id: stay.pass_id } : { is_pass: false, pass_id: null, pass: null };
  return { ...before, ...pass, ...mergeMoney(stay, before, mayLag) };
}
