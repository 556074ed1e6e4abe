"""The end of a day: the bank's statement of each account is imported, in some format, with faults.

`DAY_ENDS` in run.py has what happens at a day's end, in order. What matches lines with credits, and
what closes a day, takes its place there, behind the statements.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from loadtests.city import BIN
from loadtests.simulation.model import Account
from loadtests.simulation.money import pick
from loadtests.simulation.town import Town, Unexpected, ask
from sandbox.errors import NotFound
from sandbox.statements.faults import StatementFaults
from sandbox.statements.formats import write
from sandbox.statements.statement import Statement, draw_up

FORMATS: Final = {"csv": 45, "xlsx": 20, "html": 15, "mt940": 10, "camt053": 10}
HOW: Final = {"once": 60, "twice": 12, "in_two_formats": 12, "faulty_first": 16}
# Each is found by what the file says of itself, and the file is refused.
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"wrong_total_vnd": 5_000},
    {"missing": 1},
    {"extra": 1},
)
WITH_TOTALS: Final = ("csv", "xlsx", "html")


async def import_day(town: Town, day: date) -> list[str]:
    """Import the statement of each account for a booking day; return what was done."""
    done = []
    for account in _accounts(town):
        statement = _draw_up(town, account, day)
        if statement is None or not statement.lines:
            continue
        done.append(await _import(town, account, statement))
        known = town.booked.setdefault(account.number, [])
        known += [(line.booked_on, line.signed_vnd) for line in statement.lines]
    return done


async def check_lines(town: Town) -> list[str]:
    """Hold the hub's lines against what the bank booked; return what differs."""
    query = """
        SELECT booked_on, CASE direction WHEN 'in' THEN amount_vnd ELSE -amount_vnd END
        FROM statement_lines WHERE receiving_account_id = %s
    """
    found = []
    for account in _accounts(town):
        rows = await town.stage.select(query, account.id)
        wanted = sorted(town.booked.get(account.number, []))
        if sorted(rows) != wanted:
            found.append(
                f"account {account.number} has {len(rows)} lines of statements,"
                f" and its bank booked {len(wanted)}"
            )
    return found


async def _import(town: Town, account: Account, statement: Statement) -> str:
    """Upload a statement and accept it."""
    how, form = pick(town, HOW), pick(town, FORMATS)
    if how == "faulty_first":
        form = town.chance.choice(WITH_TOTALS)
        faults = town.chance.choice(FAULTS)
        spoilt = await _upload(town, account, write(statement, form, StatementFaults(**faults)))
        if spoilt["status"] != "refused":
            msg = f"a statement with {faults} ({form}) is {spoilt['status']}: {spoilt['problems']}"
            raise Unexpected(msg)
        how = f"after one with {'/'.join(faults)}"
    content = write(statement, form, StatementFaults())
    made = await _upload(town, account, content)
    await _accept(town, account, made)
    if how == "twice":
        again = await _upload(town, account, content)
        if again["id"] != made["id"]:
            raise Unexpected(f"the same file is two statements: {made['id']} and {again['id']}")
    elif how == "in_two_formats":
        other = "camt053" if form != "camt053" else "csv"
        second = await _upload(town, account, write(statement, other, StatementFaults()))
        await _accept(town, account, second)
    return f"account {account.number}: {len(statement.lines)} lines as {form}, {how}"


async def _upload(town: Town, account: Account, content: bytes) -> Any:
    finance = _finance_of(town, account)
    params = {"id": town.new_id(), "receiving_account_id": account.id}
    headers = {"Content-Type": "application/octet-stream"}
    made = await ask(
        finance, "POST", "/v1/statements", params=params, content=content, headers=headers
    )
    await town.stage.wait_for_jobs()
    return await ask(finance, "GET", f"/v1/statements/{made['id']}")


async def _accept(town: Town, account: Account, made: Any) -> None:
    finance, path = _finance_of(town, account), f"/v1/statements/{made['id']}"
    if made["status"] != "staged":
        what = f"{made['status']}: {made['problems']} {made['row_errors'][:3]}"
        raise Unexpected(f"a true statement ({made['format']}) is {what}")
    await ask(finance, "POST", f"{path}/accept")
    await town.stage.wait_for_jobs()
    accepted = await ask(finance, "GET", path)
    if accepted["status"] != "visible":
        raise Unexpected(f"an accepted statement is {accepted['status']}: {accepted['problems']}")


def _draw_up(town: Town, account: Account, day: date) -> Statement | None:
    try:
        return draw_up(town.stage.sandbox.bank, BIN, account.number, day, day)
    except NotFound:
        return None


def _finance_of(town: Town, account: Account) -> Any:
    return town.orgs[account.payees[0].org].people["finance"]


def _accounts(town: Town) -> Iterator[Account]:
    """Yield each account once."""
    for payee in town.model.payees:
        if payee.account.payees[0] is payee:
            yield payee.account
