"""The end of a day: the bank's statement of each account is imported, in some format, with faults.

`DAY_ENDS` in run.py has what happens at a day's end, in order. The hub matches an account's lines
when its statement is accepted, and again when a callback comes later; the model follows it.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

from loadtests.city import BIN
from loadtests.simulation.lines import AccountLines, BookedLine
from loadtests.simulation.model import HANOI, Account
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
SWEPT_WITHIN: Final = timedelta(hours=6)  # open lines are all looked at again


async def import_day(town: Town, day: date) -> list[str]:
    """Import the statement of each account for a booking day; return what was done."""
    done = []
    for account in _accounts(town):
        statement = _draw_up(town, account, day)
        if statement is None or not statement.lines:
            continue
        done.append(await _import(town, account, statement))
    return done


async def follow_matching(town: Town) -> None:
    """Let the model prove what the hub must have proved once its jobs are done.

    Raises:
        Unexpected: the hub has not looked at an account's open lines for too long.
    """
    for account in _accounts(town):
        if account.number in town.booked:
            await _follow(town, account)


async def check_lines(town: Town) -> list[str]:
    """Hold the hub's lines against what the bank booked, and their proofs; return what differs."""
    query = """
        SELECT l.booked_on, CASE l.direction WHEN 'in' THEN l.amount_vnd ELSE -l.amount_vnd END,
               l.bank_reference, coalesce(c.bank_reference, ''), coalesce(p.amount_vnd, 0)
        FROM statement_lines l
        LEFT JOIN proofs p ON p.org_id = l.org_id AND p.line_id = l.id AND p.reversed_at IS NULL
        LEFT JOIN bank_transactions c ON c.org_id = p.org_id AND c.id = p.credit_id
        WHERE l.receiving_account_id = %s
    """
    found = []
    for account in _accounts(town):
        said = sorted(await town.stage.select(query, account.id))
        booked = town.booked.get(account.number)
        wanted = sorted(_tell(line) for line in (booked.lines if booked else ()))
        if said != wanted:
            found.append(
                f"account {account.number} has lines (day, đồng, reference, proved by, đồng)"
                f" {[one for one in said if one not in wanted][:3]} of {len(said)},"
                f" by the model {[one for one in wanted if one not in said][:3]} of {len(wanted)}"
            )
    return found


def _tell(line: BookedLine) -> tuple[date, int, str, str, int]:
    credit = line.credit
    proof = (credit.reference, credit.amount_vnd) if line.is_proved else ("", 0)
    return (line.booked_on, credit.amount_vnd, credit.reference, *proof)


async def _follow(town: Town, account: Account) -> None:
    query = "SELECT matched_at, swept_at FROM account_matching WHERE receiving_account_id = %s"
    now, booked = town.stage.clock.now, town.booked[account.number]
    runs = await town.stage.select(query, account.id)
    matched_at, swept_at = runs[0] if runs else (None, None)
    if swept_at is None or (booked.has_open() and now - swept_at > SWEPT_WITHIN):
        raise Unexpected(f"lines of account {account.number} were last looked at {swept_at}")
    booked.prove(town.model.items)
    if matched_at == town.matched.get(account.id) and matched_at != now:
        return  # no run since
    town.matched[account.id] = matched_at
    today = matched_at.astimezone(HANOI).date()
    booked.ask(today, town.model.credits, town.model.items)


def _book(town: Town, account: Account, statement: Statement) -> None:
    """Let the model know the lines of a statement that is accepted for the first time."""
    credits_ = {credit.reference: credit for credit in town.model.credits}
    booked = town.booked.setdefault(account.number, AccountLines(account=account))
    for line in statement.lines:
        known = BookedLine(credit=credits_[line.reference], booked_on=line.booked_on)
        if line.signed_vnd != known.credit.amount_vnd:
            raise Unexpected(f"the sandbox's bank booked {line.signed_vnd} as {line.reference}")
        booked.lines.append(known)
        booked.days.add(line.booked_on)


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
    _book(town, account, statement)
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
    await _follow(town, account)


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
