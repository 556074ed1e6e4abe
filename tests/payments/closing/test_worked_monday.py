"""A Monday as docs/closing.md tells it: a weekend is carried, and Monday's lines clear it.

The page's figures are these; test_the_page_tells_these_figures holds the two together.
"""

from datetime import date
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest

from core.db import Database
from payments.closing.service import read_sections
from payments.invariants.closing import CLOSING_INVARIANTS
from payments.ledger.verifying import verify_books
from tests.payments.closing.days import (
    FRIDAY,
    MONDAY,
    SATURDAY,
    SUNDAY,
    THURSDAY,
    Line,
    a_credit,
    at,
    carried_at,
    close,
    go_live,
    own_and_explain,
    row_of,
)
from tests.payments.invariants import find_violations
from tests.world.databases import FreshDatabase
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PAGE = Path(__file__).parents[3] / "docs/closing.md"
OPENING_VND = 1_000_000
CHARGE = Line(amount_vnd=-5_500)


class Told(NamedTuple):
    """A row of the page's table."""

    day: date
    opening_vnd: int
    in_vnd: int
    out_vnd: int
    closing_vnd: int
    carried: list[int]


# Friday's evening, Saturday's two and Sunday's one come on Monday; Monday's evening on Tuesday.
TOLD = (
    Told(FRIDAY, 1_000_000, 120_000, 0, 1_120_000, [30_000]),
    Told(SATURDAY, 1_120_000, 0, 0, 1_120_000, [30_000, 40_000, 50_000]),
    Told(SUNDAY, 1_120_000, 0, 0, 1_120_000, [30_000, 40_000, 50_000, 60_000]),
    Told(MONDAY, 1_120_000, 250_000, 5_500, 1_364_500, [80_000]),
)


async def live_through(database: Database, stall: PayableStall) -> dict[int, UUID]:
    """Let Wednesday to Monday happen, and close each day; return {đồng: the credit}."""
    moments = {
        250_000: at(THURSDAY, 9), 100_000: at(THURSDAY, 23), 20_000: at(FRIDAY, 10),
        30_000: at(FRIDAY, 21), 40_000: at(SATURDAY, 9), 50_000: at(SATURDAY, 20),
        60_000: at(SUNDAY), 70_000: at(MONDAY, 8), 80_000: at(MONDAY, 22),
    }  # fmt: skip
    by_vnd = {vnd: await a_credit(database, stall, vnd, when=when) for vnd, when in moments.items()}
    await close(database, stall, THURSDAY)
    await go_live(database, stall, FRIDAY, OPENING_VND, under_way=[by_vnd[100_000]])

    def lines(*amounts_vnd: int) -> list[Line]:
        return [Line(amount_vnd=vnd, credit=by_vnd[vnd]) for vnd in amounts_vnd]

    await own_and_explain(
        database,
        stall,
        [
            (FRIDAY, lines(100_000, 20_000)),
            (SATURDAY, []),
            (SUNDAY, []),
            (MONDAY, [*lines(30_000, 40_000, 50_000, 60_000, 70_000), CHARGE]),
        ],
        opening_vnd=OPENING_VND,
    )
    for day in (FRIDAY, SATURDAY, SUNDAY, MONDAY):
        await close(database, stall, day)
    return by_vnd


async def test_a_weekend_is_carried_and_mondays_lines_clear_it(
    app_database: Database,
    worker_database: Database,
    fresh_database: FreshDatabase,
    stall: PayableStall,
) -> None:
    by_vnd = await live_through(app_database, stall)

    since = {30_000: FRIDAY, 40_000: SATURDAY, 50_000: SATURDAY, 60_000: SUNDAY, 80_000: MONDAY}
    for told in TOLD:
        row = await row_of(app_database, stall, told.day)
        assert row[2:6] == told[1:5], told.day
        assert (row.proof, row.bank_vnd, row.late_lines_vnd) == ("statement", told.closing_vnd, 0)
        assert (row.carried_count, row.carried_vnd) == (len(told.carried), sum(told.carried))
        assert row.clearing_vnd == sum(told.carried)
        assert await carried_at(app_database, stall, told.day) == {
            by_vnd[vnd]: (vnd, since[vnd]) for vnd in told.carried
        }
    verified = await verify_books(worker_database, stall.org.id, read_sections=read_sections)
    assert (verified.days, verified.fault) == (5, None)
    broken = [one for one in find_violations(fresh_database.owner_url)
              if one.partition(":")[0] in CLOSING_INVARIANTS]  # fmt: skip
    assert broken == []
    with psycopg.connect(fresh_database.owner_url) as owner:
        written = owner.execute("SELECT count(*) FROM carried_items").fetchone()
    assert written == (5,)  # each is written once, however many days it is carried


async def test_before_its_go_live_an_account_carries_one_sum_that_grows(
    app_database: Database, stall: PayableStall
) -> None:
    for vnd, day in ((250_000, THURSDAY), (20_000, FRIDAY)):
        await a_credit(app_database, stall, vnd, when=at(day))
    rows = []
    for day in (THURSDAY, FRIDAY):
        await close(app_database, stall, day)
        rows.append(await row_of(app_database, stall, day))

    assert [(one.proof, one.carried_count, one.carried_vnd) for one in rows] == [
        ("callbacks_only", None, 250_000), ("callbacks_only", None, 270_000)
    ]  # fmt: skip
    assert await carried_at(app_database, stall, FRIDAY) == {}


def test_the_page_tells_these_figures() -> None:
    def write(vnd: int) -> str:
        return f"{vnd:,}".replace(",", ".")

    page = PAGE.read_text()
    for told in TOLD:
        carried = " + ".join(write(vnd) for vnd in told.carried)
        if len(told.carried) > 1:
            carried += f" = {write(sum(told.carried))}"
        figures = [write(vnd) for vnd in told[1:5]]
        row = f"| {told.day:%A} | {' | '.join(figures)} | {carried} |"
        assert row in page, row
