"""Steps at a lot: vehicles come in, are quoted, pay by code or in cash, and leave; shifts."""

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any, Final

from loadtests.booths import HOURLY_VND, PER_VISIT_VND
from loadtests.simulation.model import Payee
from loadtests.simulation.money import Transfer, add_bill, pick, receive_list, send
from loadtests.simulation.town import Organisation, Town, Unexpected, ask
from loadtests.vehicles import write_plate

CHANGE_VND: Final = 100_000  # that an attendant begins with


@dataclass(kw_only=True, eq=False)
class Stay:
    """A vehicle that is inside."""

    id: str
    org: int
    plate: str
    is_motorbike: bool
    entered_at: datetime

    def price_vnd(self, now: datetime) -> int:
        """What the tariff of loadtests/booths.py asks for: a visit, or each hour begun."""
        if self.is_motorbike:
            return PER_VISIT_VND
        minutes = int((now - self.entered_at).total_seconds() // 60)  # whole ones
        return max(1, ceil(minutes / 60)) * HOURLY_VND


async def enter(town: Town) -> str:
    """A vehicle comes in, and the answer is sometimes lost."""
    org = town.chance.choice(town.orgs)
    is_motorbike = town.chance.random() < 0.8
    plate = write_plate(town.vehicles, is_motorbike=is_motorbike)
    town.vehicles += 1
    body = {
        "id": town.new_id(),
        "vehicle_class": "motorbike" if is_motorbike else "car",
        "plate": plate,
        "method": "visual",
    }
    for _ in range(town.chance.choice((1, 1, 1, 2))):
        said = await ask(
            org.people["attendant"], "POST", f"/v1/lots/{org.lot_id}/entries", json=body
        )
    if said["session_id"] != body["id"]:
        raise Unexpected(f"vehicle {plate} came in as {said}")
    stay = Stay(
        id=str(body["id"]),
        org=org.number,
        plate=plate,
        is_motorbike=is_motorbike,
        entered_at=town.stage.clock.now,
    )
    town.stays.append(stay)
    return f"{body['vehicle_class']} {plate} enters lot {org.number}"


async def leave(town: Town) -> str | None:
    """A vehicle is quoted, pays by code or in cash, and leaves."""
    stays: list[Stay] = town.stays
    if not stays:
        return None
    stay = stays.pop(town.chance.randrange(len(stays)))
    org = town.orgs[stay.org]
    attendant, path = org.people["attendant"], f"/v1/parking-sessions/{stay.id}"
    quoted = await ask(attendant, "POST", f"{path}/quotes", json={})
    expected_vnd = stay.price_vnd(town.stage.clock.now)
    if quoted["amount_vnd"] != expected_vnd:
        raise Unexpected(f"{stay.plate} is to pay {quoted['amount_vnd']}, not {expected_vnd}")
    how = pick(town, {"cash": 40, "code": 40, "code_lost": 12, "code_twice": 8})
    if how == "cash":
        await _pay_in_cash(town, org, path, quoted)
    else:
        await _pay_by_code(town, org, path, quoted, how)
    left = await ask(attendant, "POST", f"{path}/exit", json={"method": "visual"})
    if (left["price_vnd"], left["paid_vnd"], left["reason"]) != (
        expected_vnd,
        expected_vnd,
        "paid",
    ):
        raise Unexpected(f"{stay.plate} left otherwise: {left}")
    return f"{stay.plate} pays {expected_vnd} ({how}) and leaves lot {org.number}"


async def change_shift(town: Town) -> str:
    """An attendant hands over: the drawer is counted, sometimes short, and a shift begins."""
    org = town.chance.choice(town.orgs)
    return await end_shift(town, org) if org.shift else await _open_shift(town, org)


async def end_shift(town: Town, org: Organisation) -> str:
    """Close an organisation's shift."""
    expected_vnd = CHANGE_VND + org.shift_cash_vnd
    counted_vnd = max(0, expected_vnd + town.chance.choice((0, 0, 0, -1_000, 2_000)))
    body = {"counted_vnd": counted_vnd, "note": "Đếm lại hai lần"}
    attendant = org.people["attendant"]
    said = await ask(attendant, "POST", f"/v1/shifts/{org.shift}/close", json=body)
    if (said["expected_vnd"], said["variance_vnd"]) != (expected_vnd, counted_vnd - expected_vnd):
        raise Unexpected(f"a shift of {expected_vnd} closes as {said}")
    _payee_of(town, org).shift_takings_vnd += org.shift_cash_vnd
    org.shift, org.shift_cash_vnd = None, 0
    return f"shift at lot {org.number} closed: {counted_vnd} of {expected_vnd}"


async def _open_shift(town: Town, org: Organisation) -> str:
    body = {"id": town.new_id(), "lot_id": org.lot_id, "change_vnd": CHANGE_VND}
    await ask(org.people["attendant"], "POST", "/v1/shifts", json=body)
    org.shift = str(body["id"])
    return f"shift at lot {org.number} opened"


async def _pay_in_cash(town: Town, org: Organisation, path: str, quoted: Any) -> None:
    if org.shift is None:
        await _open_shift(town, org)
    body = {
        "id": town.new_id(),
        "rail": "cash",
        "amount_vnd": quoted["amount_vnd"],
        "quote": quoted["quote"],
    }
    for _ in range(town.chance.choice((1, 1, 2))):
        await ask(org.people["attendant"], "POST", f"{path}/collections", json=body)
    org.shift_cash_vnd += quoted["amount_vnd"]


async def _pay_by_code(town: Town, org: Organisation, path: str, quoted: Any, how: str) -> None:
    attendant, payee = org.people["attendant"], _payee_of(town, org)
    amount_vnd = quoted["amount_vnd"]
    body = {"id": town.new_id(), "amount_vnd": amount_vnd, "quote": quoted["quote"]}
    said = await ask(attendant, "POST", f"{path}/bills", json=body)
    bill = add_bill(town, payee, said, amount_vnd, is_of_stay=True)
    fault = "drop" if how == "code_lost" else "none"
    transfer = Transfer(
        account=payee.account,
        amount_vnd=amount_vnd,
        memo=bill.reference,
        meant=bill,
        fault=fault,
        is_kept=True,
    )
    for _ in range(2 if how == "code_twice" else 1):
        await send(town, transfer)
    if how == "code_lost" or org.is_silent(town.stage.clock.now):
        await ask(org.people["manager"], "POST", f"/v1/bills/{bill.id}/check")
        await town.stage.settle()
        receive_list(town, payee.account)


def _payee_of(town: Town, org: Organisation) -> Payee:
    """Return whom a lot's money is for: its organisation's first stall."""
    return next(payee for payee in town.model.payees if payee.org == org.number)
