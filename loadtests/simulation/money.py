"""Steps of payers, their banks and providers: bills, transfers, callbacks with faults, polls.

When a callback comes is the simulation's choice, on its own clock: the sandbox's waits are by the
machine's. So one that is late was lost at first, and is sent again later.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from loadtests.city import BIN
from loadtests.simulation.model import Account, Bill, Credit, Payee
from loadtests.simulation.town import Organisation, Town, Unexpected, ask
from sandbox.bank import Line, Payment
from sandbox.codes import read_payload
from sandbox.faults import FaultProfile
from sandbox.memos import Style
from sandbox.providers.contract import Message

SEEN_BACK: Final = timedelta(hours=24)  # how far a poll sees, that second included
LISTED_MAX: Final = 50  # transactions in a provider's answer, the newest first
SILENT_FOR: Final = timedelta(minutes=45)
# Fault profiles of a callback, and how often each comes up.
FAULTS: Final[dict[str, tuple[int, dict[str, Any]]]] = {
    "none": (50, {}),
    "duplicate": (8, {"duplicates": 2}),
    "duplicate_later": (4, {"duplicates": 1, "duplicates_at_once": False}),
    "drop": (12, {"drop_percent": 100}),
    "wrong_amount": (4, {"wrong_amount_percent": 100}),
    "wrong_memo": (5, {"wrong_memo_percent": 100}),
    "wrong_signature": (4, {"wrong_signature_percent": 100}),
    "clock_wrong": (3, {"clock_skew_s": 7_200}),
    "other_amount_later": (5, {}),
}
STYLES: Final = {Style.USUAL: 70, Style.LOSSY: 15, Style.AS_TYPED: 15}
PAYERS_SAY: Final = ("{}", "{} thanh toan", "tra tien {}", "{} cam on em", "ck {} nhe")


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What a payer does."""

    account: Account
    amount_vnd: int
    memo: str
    meant: Bill | None
    fault: str = "none"
    is_kept: bool = False  # its banks leave the code in the memo


def pick(town: Town, weights: dict[Any, int]) -> Any:
    """Choose one of the keys by its weight."""
    return town.chance.choices(list(weights), weights=list(weights.values()))[0]


async def open_bill(town: Town) -> str:
    """A stall keys an amount."""
    payee = town.chance.choice(town.model.payees)
    amount_vnd = town.chance.randint(1, 400) * 1_000
    valid_for_s = town.chance.choice((300, 900, 3_600, 14_400))
    body = {
        "payee_id": payee.id,
        "amount_vnd": amount_vnd,
        "purpose": "Mô phỏng",
        "valid_for_s": valid_for_s,
    }
    manager = town.org_of(payee).people["manager"]
    key = {"Idempotency-Key": town.new_id()}
    said = await ask(manager, "POST", "/v1/bills", json=body, headers=key)
    if town.chance.random() < 0.1:  # the answer was lost, and the request comes again
        again = await ask(manager, "POST", "/v1/bills", json=body, headers=key)
        if again["id"] != said["id"]:
            raise Unexpected(f"the same key opened two bills: {said['id']} and {again['id']}")
    bill = add_bill(town, payee, said, amount_vnd)
    return f"bill {bill.number} of {amount_vnd} at stall {payee.number} for {valid_for_s} s"


def add_bill(town: Town, payee: Payee, said: Any, amount_vnd: int, **facts: Any) -> Bill:
    """Let the model know of a bill that the hub opened."""
    bill = Bill(
        number=len(town.model.bills),
        id=said["id"],
        payee=payee,
        reference=said["reference"],
        amount_vnd=amount_vnd,
        expires_at=datetime.fromisoformat(said["expires_at"]),
        **facts,
    )
    town.model.bills.append(bill)
    return bill


async def pay_bill(town: Town) -> str | None:
    """Somebody pays a bill: whole, short, over, again, late, after it was cancelled, elsewhere."""
    bill = _pick_bill(town)
    if bill is None:
        return None
    how = pick(town, {"whole": 70, "short": 12, "over": 8, "elsewhere": 4, "abroad": 2, "blank": 4})
    owed_vnd = bill.missing_vnd if bill.is_owed else bill.amount_vnd
    amount_vnd, account = owed_vnd, bill.payee.account
    if how == "short":
        amount_vnd = max(1, owed_vnd - town.chance.randint(1, owed_vnd))
    elif how == "over":
        amount_vnd += town.chance.randint(1, 50) * 1_000
    elif how in ("elsewhere", "abroad"):
        account = _pick_other_account(town, bill, is_abroad=how == "abroad") or account
    memo = "" if how == "blank" else town.chance.choice(PAYERS_SAY).format(bill.reference)
    fault = pick(town, {name: weight for name, (weight, _) in FAULTS.items()})
    transfer = Transfer(
        account=account,
        amount_vnd=amount_vnd,
        memo=memo,
        meant=None if how == "blank" else bill,
        fault=fault,
    )
    code = await _show_code(town, bill) if how == "whole" and bill.is_owed else None
    credit = await send(town, transfer, code=code)
    return (
        f"bill {bill.number} ({bill.status}) paid {how}: {amount_vnd}, callback {fault}"
        f" -> credit {credit.number} {credit.verdict or 'unreported'}"
    )


async def sell(town: Town) -> str:
    """A customer pays a static code: an amount, and no reference."""
    payee = town.chance.choice(town.model.payees)
    fault = pick(town, {"none": 70, "duplicate": 10, "drop": 20})
    amount_vnd = town.chance.randint(5, 200) * 1_000
    memo = town.chance.choice(("", "tien nuoc", "chuyen tien", "mua rau"))
    transfer = Transfer(
        account=payee.account, amount_vnd=amount_vnd, memo=memo, meant=None, fault=fault
    )
    credit = await send(town, transfer)
    return (
        f"sale of {amount_vnd} at stall {payee.number}, callback {fault}"
        f" -> credit {credit.number} {credit.verdict or 'unreported'}"
    )


async def pay_several(town: Town) -> str | None:
    """Several bills are paid at once, and the callbacks come in another order."""
    org = town.chance.choice(town.orgs)
    owed = [b for b in town.model.bills if b.is_owed and b.payee.org == org.number
            and not b.is_of_stay]  # fmt: skip
    if len(owed) < 3:
        return None
    world = town.stage.sandbox
    chosen = town.chance.sample(owed, 3)
    world.style = Style.USUAL
    is_silent = org.is_silent(town.stage.clock.now)
    profile = FaultProfile(reorder_window=3, drop_percent=100 if is_silent else 0)
    world.set_faults(profile, subscription_id=org.subscription)
    lines = [_pay(town, b.payee.account, b.missing_vnd, b.reference) for b in chosen]
    world.set_faults(FaultProfile(), subscription_id=org.subscription)
    await town.stage.settle()
    for bill, line in zip(chosen, lines, strict=True):
        credit = _add_credit(town, org, bill.payee.account, line, bill)
        _receive_callbacks(town, credit)
    return f"bills {', '.join(str(b.number) for b in chosen)} paid at once, callbacks reordered"


async def fall_silent(town: Town) -> str | None:
    """A provider loses every callback of an organisation for three quarters of an hour."""
    org = town.chance.choice(town.orgs)
    if org.is_silent(town.stage.clock.now):
        return None
    org.silent_until = town.stage.clock.now + SILENT_FOR
    return f"the provider of organisation {org.number} falls silent"


async def call_back_late(town: Town) -> str | None:
    """A callback that was lost comes after all, once or twice; sometimes with other facts."""
    credits_ = town.model.credits[-200:]
    if not credits_:
        return None
    unreported = [credit for credit in credits_ if credit.reported_vnd is None]
    is_of_unreported = bool(unreported) and town.chance.random() < 0.8
    credit = town.chance.choice(unreported if is_of_unreported else credits_)
    times = town.chance.choice((1, 1, 2))
    for _ in range(times):
        await _call_back(town, credit, credit.amount_vnd)
    return f"callback of credit {credit.number} again, {times} x -> {credit.verdict}"


async def check_bill(town: Town) -> str | None:
    """A vendor asks the provider: what no callback reported comes to light."""
    unreported = town.model.unreported()
    known = [b for b in town.model.bills if not b.is_of_stay]
    if not known:
        return None
    accounts = {id(credit.account) for credit in unreported}
    of_them = [b for b in known if id(b.payee.account) in accounts]
    bill = town.chance.choice((of_them or known)[-40:])
    fault = pick(town, {"": 80, "error": 10, "too_many": 10})
    org = town.org_of(bill.payee)
    if fault:
        profile = FaultProfile(pull_fault=fault, pull_calls_left=1)
        town.stage.sandbox.set_faults(profile, subscription_id=org.subscription)
    path = f"/v1/bills/{bill.id}/check"
    answer = await org.people["manager"].post(path)
    if fault:
        town.stage.sandbox.set_faults(FaultProfile(), subscription_id=org.subscription)
    if answer.is_success == bool(fault):
        raise Unexpected(f"POST {path} with {fault or 'no fault'}: {answer.text[:300]}")
    await town.stage.settle()
    if fault:
        return f"bill {bill.number} checked, and the provider fails: {fault}"
    found = receive_list(town, bill.payee.account)
    return f"bill {bill.number} checked -> {found} credits that were not known"


def receive_list(town: Town, account: Account) -> int:
    """The hub read a provider's list of an account; return how many credits were new to it.

    SePay lists the newest first, and the hub takes them in that order: first what is new to it,
    then what a repeat names that its first report did not.
    """
    since = (town.stage.clock.now - SEEN_BACK).replace(microsecond=0)
    listed = [
        credit
        for credit in reversed(town.model.credits)
        if credit.account is account and credit.occurred_at >= since
    ][:LISTED_MAX]
    new = sum(credit.reported_vnd is None for credit in listed)
    for credit in sorted(listed, key=lambda one: one.reported_vnd is not None):
        town.model.report(credit, credit.amount_vnd, credit.memo)
    return new


async def receive_all(town: Town) -> int:
    """Before a day's end, let every account be asked, so that nothing of the day stays unknown."""
    found = 0
    for payee in town.model.payees:
        bills = [b for b in town.model.bills if b.payee.account is payee.account]
        if not bills or not any(c.account is payee.account for c in town.model.unreported()):
            continue
        town.stage.clock.now += timedelta(seconds=10)
        manager = town.org_of(payee).people["manager"]
        await ask(manager, "POST", f"/v1/bills/{bills[-1].id}/check")
        await town.stage.settle()
        found += receive_list(town, payee.account)
    return found


async def send(town: Town, transfer: Transfer, *, code: str | None = None) -> Credit:
    """Let a payer send money and the provider report it; return what the model made of it.

    Args:
        code: the VietQR that is scanned; its account and amount are held against the transfer's.
    """
    org = town.orgs[transfer.account.payees[0].org]
    world = town.stage.sandbox
    if code is not None:
        read = read_payload(code)
        if (read.number, read.amount_vnd) != (transfer.account.number, transfer.amount_vnd):
            asked = f"{read.number} {read.amount_vnd}"
            raise Unexpected(f"a code asks for {asked}, not {transfer.amount_vnd}: {code}")
    world.style = Style.USUAL if transfer.is_kept else pick(town, STYLES)
    fault = "drop" if org.is_silent(town.stage.clock.now) else transfer.fault
    profile = FaultProfile(**FAULTS[fault][1])
    world.set_faults(profile, subscription_id=org.subscription)
    line = _pay(town, transfer.account, transfer.amount_vnd, transfer.memo)
    world.set_faults(FaultProfile(), subscription_id=org.subscription)
    credit = _add_credit(town, org, transfer.account, line, transfer.meant)
    await town.stage.settle()
    _receive_callbacks(town, credit)
    if fault == "other_amount_later":
        await _call_back(town, credit, credit.amount_vnd + 1_000)
    return credit


def _pay(town: Town, account: Account, amount_vnd: int, memo: str) -> Line:
    world = town.stage.sandbox
    payer = world.bank.payer(town.chance.choice(("an", "binh", "chi")))
    payment: Payment = world.pay(payer, BIN, account.number, amount_vnd, memo)
    return world.bank.lines[payment.line_id]


def _add_credit(
    town: Town, org: Organisation, account: Account, line: Line, meant: Bill | None
) -> Credit:
    credit = Credit(
        number=len(town.model.credits),
        line_id=line.id,
        reference=line.reference,
        account=account,
        org=org.number,
        amount_vnd=line.amount_vnd,
        memo=line.memo,
        occurred_at=line.occurred_at,
        meant=meant,
    )
    town.model.credits.append(credit)
    return credit


def _receive_callbacks(town: Town, credit: Credit) -> None:
    """Report to the model what the hub acknowledged, in the order of the sender's log."""
    newest = list(town.stage.sandbox.dispatcher.log.values())[-20:]
    for delivery in newest:
        if delivery.line_id != credit.line_id or delivery.state in ("dropped", "cancelled"):
            continue
        is_false = bool({"wrong_signature", "clock_skew"} & set(delivery.faults))
        if (delivery.state == "delivered") == is_false:
            msg = f"a callback of credit {credit.number} ({delivery.faults}) is {delivery.state}"
            raise Unexpected(msg)
        if not is_false:
            town.model.report(credit, delivery.amount_vnd, delivery.memo)


async def _call_back(town: Town, credit: Credit, amount_vnd: int) -> None:
    """Send a line's callback again, true or with another amount."""
    world = town.stage.sandbox
    org = town.orgs[credit.org]
    delivery = next(
        d for d in reversed(world.dispatcher.log.values()) if d.line_id == credit.line_id
    )
    line = world.bank.lines[credit.line_id]
    message: Message = replace(
        world.message_again(world.subscription(org.subscription), delivery),
        amount_vnd=amount_vnd,
        memo=line.memo,
    )
    world.dispatcher.resend(world.subscription(org.subscription), delivery, message)
    await town.stage.settle()
    if delivery.state != "delivered":
        raise Unexpected(f"a callback of credit {credit.number} is {delivery.state}")
    town.model.report(credit, amount_vnd, line.memo)


async def _show_code(town: Town, bill: Bill) -> str:
    """Return the VietQR that a bill shows now: it asks for what is missing."""
    shown = await ask(town.org_of(bill.payee).people["manager"], "GET", f"/v1/bills/{bill.id}")
    return str(shown["vietqr"])


def _pick_bill(town: Town) -> Bill | None:
    known = [bill for bill in town.model.bills if not bill.is_of_stay]
    if not known:
        return None
    owed = [bill for bill in known if bill.is_owed]
    if owed and town.chance.random() < 0.85:
        return town.chance.choice(owed[-30:])
    return town.chance.choice(known[-100:])


def _pick_other_account(town: Town, bill: Bill, *, is_abroad: bool) -> Account | None:
    here = bill.payee
    others = [
        payee.account
        for payee in town.model.payees
        if payee.account is not here.account and (payee.org != here.org) == is_abroad
    ]
    return town.chance.choice(others) if others else None
