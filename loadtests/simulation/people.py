"""Steps of the people who work there: cancellations, cash, corrections, breaks, refunds."""

from typing import Any, Final

from loadtests.simulation.model import Bill, Credit, Item, Payment, Refund
from loadtests.simulation.town import Town, Unexpected, ask, list_all

DESTINATION: Final = {
    "bin": "970422",
    "account_number": "0123456789",
    "name": "NGUYEN THI LAN",
    "name_again": "Nguyen Thi  Lan",
}
UNDER_WAY: Final = ("requested", "approved", "instructed", "unknown")
# Steps of a refund, as (the last part of the route, the status that follows).
RETURNED: Final = ("returned", "returned")
NOT_DONE: Final = ("not-done", "not_done")
UNKNOWN: Final = ("unknown", "unknown")


async def cancel_bill(town: Town) -> str | None:
    """A stall cancels a bill that is not paid, or not wholly."""
    owed = [bill for bill in town.model.bills if bill.is_owed and not bill.is_of_stay]
    if not owed:
        return None
    bill = town.chance.choice(owed)
    manager = town.org_of(bill.payee).people["manager"]
    body = {"reason": "Khách đổi ý"}
    for _ in range(town.chance.choice((1, 1, 2))):
        await ask(manager, "POST", f"/v1/bills/{bill.id}/cancel", json=body)
    town.model.cancel(bill)
    await town.stage.settle()
    return f"bill {bill.number} cancelled, {bill.paid_vnd} was paid"


async def take_cash(town: Town) -> str | None:
    """The rest of a part-paid bill comes in cash."""
    short = [b for b in town.model.bills if b.status == "part_paid" and not b.is_of_stay]
    if not short:
        return None
    bill = town.chance.choice(short)
    rest_vnd = bill.missing_vnd
    body = {"id": town.new_id(), "amount_vnd": rest_vnd}
    manager = town.org_of(bill.payee).people["manager"]
    for _ in range(town.chance.choice((1, 1, 2))):
        await ask(manager, "POST", f"/v1/bills/{bill.id}/cash-payments", json=body)
    is_late = town.stage.clock.now > bill.expires_at
    town.model.take_cash(bill)
    bill.is_late = bill.is_late or is_late
    await town.stage.settle()
    return f"bill {bill.number}: the rest of {rest_vnd} in cash"


async def assign_break(town: Town) -> str | None:
    """Somebody says whose money without a reference is: a stall's, or for a bill."""
    items = [*town.model.open_items("unassigned"), *town.model.open_items("wrong_account")]
    if not items:
        return None
    item = town.chance.choice(items)
    credit = item.credit
    assert credit is not None
    found = await find_break(town, item)
    finance = town.orgs[item.org].people["finance"]
    bills = _bills_for(town, credit) if item.kind == "unassigned" else []
    if bills and town.chance.random() < 0.5:
        bill = town.chance.choice(bills)
        await ask(finance, "POST", f"/v1/breaks/{found}/assign", json={"bill_id": bill.id})
        town.model.confirm(credit, bill)
        said = f"for bill {bill.number} -> {credit.verdict}"
    else:
        payee = town.chance.choice(credit.account.payees)
        await ask(finance, "POST", f"/v1/breaks/{found}/assign", json={"payee_id": payee.id})
        town.model.assign(credit, payee)
        said = f"a sale of stall {payee.number}"
    await town.stage.settle()
    return f"credit {credit.number} ({item.kind}) is {said}"


async def correct_sale(town: Town) -> str | None:
    """A vendor says that a sale paid a bill, or is no takings, or is takings after all."""
    sales = [c for c in town.model.credits[-120:] if c.verdict in ("counter_sale", "not_takings")]
    if not sales:
        return None
    credit = town.chance.choice(sales)
    manager = town.orgs[credit.org].people["manager"]
    path = f"/v1/credits/{await find_credit(town, credit)}"
    bills = _bills_for(town, credit)
    if credit.verdict == "not_takings":
        await ask(manager, "POST", f"{path}/takings")
        town.model.mark_takings(credit)
    elif bills and town.chance.random() < 0.6:
        bill = town.chance.choice(bills)
        await ask(manager, "POST", f"{path}/confirm", json={"bill_id": bill.id})
        town.model.confirm(credit, bill)
    else:
        await ask(manager, "POST", f"{path}/not-takings", json={"reason": "Tiền nhà"})
        town.model.mark_not_takings(credit)
    await town.stage.settle()
    return f"credit {credit.number} corrected -> {credit.verdict}"


async def close_break(town: Town) -> str | None:
    """Somebody has looked at what contradicts, or gave money back on their own, and says so."""
    items = list(town.model.open_items("contradiction"))
    items += [i for i in town.model.open_items("refund_due") if not i.is_held]
    if not items:
        return None
    item = town.chance.choice(items)
    await close_item(town, item)
    return f"{item.kind} of {item.amount_vnd} closed in words"


async def close_item(town: Town, item: Item) -> None:
    """Close a break in words."""
    finance = town.orgs[item.org].people["finance"]
    body = {"resolution": "Đã xem với ngân hàng"}
    await ask(finance, "POST", f"/v1/breaks/{await find_break(town, item)}/close", json=body)
    item.is_open = False


async def request_refund(town: Town) -> str | None:
    """Finance wants money given back: of a payment, or what came too much."""
    model = town.model
    due = [i for i in model.open_items("refund_due") if i.credit is not None and not i.is_held]
    if due and town.chance.random() < 0.6:
        item = town.chance.choice(due)
        credit = item.credit
        assert credit is not None
        assert item.amount_vnd is not None
        facts: dict[str, Any] = {"credit_id": await find_credit(town, credit)}
        refund = _new_refund(town, item.org, item.amount_vnd, credit=credit, item=item)
        what = f"credit {credit.number}"
        credit.refunds.append(refund)
    else:
        payment = _pick_refundable(town)
        if payment is None:
            return None
        org = payment.bill.payee.org
        amount_vnd = town.chance.choice(
            (payment.refundable_vnd, max(1, payment.refundable_vnd // 2))
        )
        facts = {"payment_id": await _find_payment(town, payment)}
        refund = _new_refund(town, org, amount_vnd, payment=payment)
        what = f"bill {payment.bill.number}"
        payment.refunds.append(refund)
    body = {"id": refund.id, "amount_vnd": refund.amount_vnd, "reason": "Khách trả thừa", **facts}
    finance = town.orgs[refund.org].people["finance"]
    for _ in range(town.chance.choice((1, 1, 2))):
        said = await ask(finance, "POST", "/v1/refunds", json=body)
    if not refund.is_cash and said["destination_kind"] is None:
        await ask(finance, "POST", f"/v1/refunds/{refund.id}/destination", json=DESTINATION)
    model.refunds.append(refund)
    model.step_refund(refund, "requested")
    return f"refund {refund.number} of {refund.amount_vnd} requested for {what}"


async def step_refund(town: Town) -> str | None:
    """Somebody takes a refund a step further."""
    live = [refund for refund in town.model.refunds if refund.status in UNDER_WAY]
    back = [r for r in town.model.refunds if r.status == "returned" and not r.is_cash]
    if back and (not live or town.chance.random() < 0.1):  # the bank sends it back after all
        live = back[-5:]
    if not live:
        return None
    refund = town.chance.choice(live)
    steps: dict[str, tuple[tuple[str, str], ...]] = {
        "requested": (("approve", "approved"), ("approve", "approved"), ("reject", "rejected")),
        "approved": (("instruct", "instructed"),),
        "instructed": (RETURNED, RETURNED, NOT_DONE, UNKNOWN),
        "unknown": (RETURNED, NOT_DONE),
        "returned": (NOT_DONE,),
    }
    if refund.is_cash:
        steps["approved"] = (RETURNED,)
    name, after = town.chance.choice(steps[refund.status])
    who = "approver" if name in ("approve", "reject") else "finance"
    person = town.orgs[refund.org].people[who]
    path = f"/v1/refunds/{refund.id}"
    body: dict[str, Any] | None = None
    if name == "approve":
        seen = await ask(person, "GET", path)
        body = {"destination_hash": seen["destination_hash"]}
    elif name in ("reject", "not-done", "unknown"):
        body = {"reason": "Ngân hàng trả lại"}
    elif name == "returned":
        body = {} if refund.is_cash else {"bank_reference": f"FT{refund.number:012d}"}
    for _ in range(town.chance.choice((1, 1, 2))):
        said = await ask(person, "POST", f"{path}/{name}", json=body)
    if said["status"] != after:
        raise Unexpected(f"refund {refund.number} is {said['status']}, not {after}")
    was = refund.status
    if after == "instructed":
        refund.instructed_at = town.stage.clock.now
    town.model.step_refund(refund, after)
    await town.stage.settle()
    return f"refund {refund.number} of {refund.amount_vnd}: {was} -> {after}"


async def find_break(town: Town, item: Item) -> str:
    """Return the id of the break that an item of the model is."""
    finance = town.orgs[item.org].people["finance"]
    listed = await list_all(finance, "/v1/breaks", "breaks", kind=item.kind, is_open="true")
    of_it = await find_credit(town, item.credit) if item.credit is not None else None
    found = [
        one["id"]
        for one in listed
        if one["credit_id"] == of_it
        and one["amount_vnd"] == item.amount_vnd
        and (
            item.bill is None or one["bill_id"] == item.bill.id or one["subject_id"] == item.bill.id
        )
    ]
    if not found:
        raise Unexpected(f"no open {item.kind} of {item.amount_vnd} on the list")
    return str(found[0])


async def find_credit(town: Town, credit: Credit) -> str:
    """Return the hub's id of a credit."""
    org_id = town.orgs[credit.org].market.org.id
    query = "SELECT id FROM bank_transactions WHERE org_id = %s AND bank_reference = %s"
    rows = await town.stage.select(query, org_id, credit.reference)
    if len(rows) != 1:
        raise Unexpected(f"credit {credit.number} is {len(rows)} transactions at the hub")
    return str(rows[0][0])


async def _find_payment(town: Town, payment: Payment) -> str:
    """Return the hub's id of a payment: the one of its credit, or the one in cash."""
    finance = town.org_of(payment.bill.payee).people["finance"]
    path = f"/v1/bills/{payment.bill.id}/payments"
    listed = (await ask(finance, "GET", path))["payments"]
    fitting = [
        one["id"]
        for one in listed
        if (one["rail"] == "cash") == (payment.credit is None)
        and one["amount_vnd"] == payment.amount_vnd
        and one["refundable_vnd"] == payment.refundable_vnd
    ]
    if not fitting:
        raise Unexpected(f"bill {payment.bill.number} has no such payment: {listed}")
    return str(fitting[0])


def _new_refund(town: Town, org: int, amount_vnd: int, **facts: Any) -> Refund:
    payment: Payment | None = facts.get("payment")
    item: Item | None = facts.get("item")
    refund = Refund(
        number=len(town.model.refunds),
        id=town.new_id(),
        org=org,
        amount_vnd=amount_vnd,
        is_cash=payment is not None and payment.credit is None,
        **facts,
    )
    if item is not None:
        item.is_held = True
    return refund


def _pick_refundable(town: Town) -> Payment | None:
    found = [
        payment
        for bill in town.model.bills[-150:]
        if bill.status in ("paid", "over_paid", "part_refunded") and not bill.is_of_stay
        for payment in bill.payments
        if payment.refundable_vnd > 0
    ]
    return town.chance.choice(found) if found else None


def _bills_for(town: Town, credit: Credit) -> list[Bill]:
    """List bills that a credit may pay: owed, and on its account."""
    return [
        bill
        for bill in town.model.bills
        if bill.is_owed
        and not bill.is_of_stay
        and bill.payee.account is credit.account
        and (credit.payee is None or credit.payee is bill.payee)
    ][-20:]
