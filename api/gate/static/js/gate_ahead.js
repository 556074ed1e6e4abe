// Paying ahead, where the lot takes its money so: for how long, and then the usual ways to pay.

const HOURS = [1, 2, 3, 4, 6, 8, 12, 24];

/** Ask for how long a stay is paid ahead, counted from its entry; the hub says what that costs. */
export function chooseAhead(gate, stay) {
  const { say } = gate;
  const actions = HOURS.map((hours) => ({
    words: say("ahead.hours", { count: hours }),
    icon: "clock",
    name: `ahead-${hours}`,
    run: () => gate.stays.open(stay.id, { stayMinutes: hours * 60 }),
  }));
  gate.screens.openSheet(say("ahead.title"), actions);
}

/** Whether a stay may be paid ahead: not without a network, where nobody has a quote. */
export function canPayAhead(gate, stay) {
  return gate.lot.payment_timing === "prepay" && !stay.is_offline && !stay.pass_id;
}
