"""The end of a day's books: once it is over, each organisation closes it through the API.

Accounts are proved by callbacks alone (docs/closing.md), so what keeps a day open here is evidence
that disagrees: finance looks at it, and closes the day then.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from core.clock import day_bounds
from loadtests.simulation.model import Account, Item
from loadtests.simulation.people import close_item
from loadtests.simulation.town import Organisation, Town, Unexpected, ask, list_all
from payments.closing.service import read_sections
from payments.ledger.verifying import verify_books


async def close_day(town: Town, day: date) -> list[str]:
    """Close a day of each organisation once it is over; return what was done."""
    town.stage.clock.now = max(town.stage.clock.now, day_bounds(day)[1])
    return [await _close(town, org, day) for org in town.orgs]


async def check_books(town: Town) -> list[str]:
    """Verify the closed days by their hashes, as `./phopay ledger verify` does."""
    found = []
    for org in town.orgs:
        books = await verify_books(
            town.stage.databases.worker, org.market.org.id, read_sections=read_sections
        )
        if books.fault is not None:
            where = books.fault.day or "the books"
            found.append(f"{org.code}: {where} does not agree: {books.fault.reasons}")
        elif books.days != org.closed_days:
            found.append(f"{org.code}: {books.days} days are closed, and {org.closed_days} were")
    return found


async def _close(town: Town, org: Organisation, day: date) -> str:
    finance, path = org.people["finance"], f"/v1/days/{day}/close"
    doubts = [
        item
        for item in town.model.open_items("contradiction", org.number)
        if item.credit is not None and item.credit.day == day
    ]
    if doubts:
        await _be_refused(finance, path, doubts)
        for item in doubts:
            await close_item(town, item)
    key = {"Idempotency-Key": town.new_id()}
    closed = await ask(finance, "POST", path, headers=key)
    if town.chance.random() < 0.2:  # the answer was lost, and the request comes again
        again = await ask(finance, "POST", path, headers=key)
        if again["hash"] != closed["hash"]:
            raise Unexpected(f"{day} was closed twice: {closed['hash']} and {again['hash']}")
    org.closed_days += 1
    await _check_accounts(town, org, day)
    return f"organisation {org.number} closes {day:%A}, {len(doubts)} doubts looked at before"


async def _be_refused(finance: Any, path: str, doubts: Sequence[Item]) -> None:
    """Try to close a day too early.

    Raises:
        Unexpected: it was closed, or something else keeps it open.
    """
    answer = await finance.post(path)
    said = {(one["field"], one["code"]) for one in answer.json().get("violations", ())}
    wanted = {
        (f"accounts.{item.credit.account.id}", "breaks_open") for item in doubts if item.credit
    }
    if answer.status_code != 409 or said != wanted:
        raise Unexpected(f"POST {path} answered {answer.status_code}, {said}, not {wanted}")


async def _check_accounts(town: Town, org: Organisation, day: date) -> None:
    """Hold what the closed day says of each account against the model.

    Raises:
        Unexpected
    """
    listed = await list_all(org.people["finance"], f"/v1/days/{day}", "accounts")
    said = {
        one["receiving_account_id"]: (
            one["proof"],
            one["bank_vnd"],
            one["carried_vnd"],
            one["lines"],
            one["lines_in_vnd"],
        )
        for one in listed
    }
    for payee in town.model.payees:
        if payee.org == org.number and payee.account.payees[0] is payee:
            wanted = _tell(town, payee.account, day)
            if (found := said.pop(payee.account.id, None)) != wanted:
                msg = (
                    f"{day} of account {payee.account.number} (proof, bank, carried, lines, đồng)"
                    f" is {found} by the hub, {wanted} by the model"
                )
                raise Unexpected(msg)
    if said:
        raise Unexpected(f"{day} has accounts that nobody knows: {said}")


def _tell(town: Town, account: Account, day: date) -> tuple[str, int, int, int, int]:
    booked = town.booked.get(account.number)
    lines = [line for line in (booked.lines if booked else ()) if line.booked_on == day]
    proved_vnd = booked.proved_vnd if booked else 0
    return (
        "callbacks_only",
        proved_vnd,
        town.model.reported_vnd(account) - proved_vnd,
        len(lines),
        sum(line.credit.amount_vnd for line in lines),
    )
