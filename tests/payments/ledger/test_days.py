"""Days of the books: which one a posting falls in, and what a close writes."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from core.audit import list_changes
from core.clock import hanoi_day, read_clock
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.ledger.closing import QUIET_FOR, close_day
from payments.ledger.errors import (
    BooksNotFound,
    DayAhead,
    DayClosed,
    DayNotNext,
    EarlierReleasePosts,
)
from payments.ledger.hashing import POSTING_FIELDS
from payments.ledger.models import Posting
from payments.ledger.queries_days import list_checkpoints
from payments.ledger.rules import bank_clearing, takings, unapplied
from tests.payments.ledger.books import DAY, ONE_DAY, a_posting, close, days_of, post
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

TO_MIDNIGHT = timedelta(hours=12)  # NOON is noon in Hà Nội


async def test_a_posting_falls_in_the_hanoi_day_of_what_happened(
    app_database: Database, stall: PayableStall
) -> None:
    midnight = NOON + TO_MIDNIGHT
    before, after = midnight - timedelta(microseconds=1), midnight
    await post(
        app_database,
        stall,
        a_posting(stall, 1, at=before),
        a_posting(stall, 2, at=after),
        now=midnight + ONE_DAY,
    )

    assert await days_of(app_database, stall) == [(DAY, 1), (DAY + ONE_DAY, 2)]


async def test_what_is_said_to_happen_tomorrow_falls_in_today(
    app_database: Database, stall: PayableStall
) -> None:
    await post(app_database, stall, a_posting(stall, at=NOON + 3 * ONE_DAY), now=NOON)

    assert await days_of(app_database, stall) == [(DAY, 20_000)]


async def test_a_hub_whose_clock_is_years_ahead_posts_in_the_databases_today(
    app_database: Database, stall: PayableStall
) -> None:
    ahead = read_clock() + timedelta(days=800)

    await post(app_database, stall, a_posting(stall, at=ahead), now=ahead)

    ((day, _),) = await days_of(app_database, stall)
    assert day - hanoi_day(read_clock()) in (timedelta(0), -ONE_DAY)  # midnight may come between


async def test_what_comes_late_falls_in_the_open_day(
    app_database: Database, stall: PayableStall
) -> None:
    await post(app_database, stall, a_posting(stall, 1))
    closed = await close(app_database, stall)

    await post(app_database, stall, a_posting(stall, 2), now=NOON + 2 * ONE_DAY)

    assert closed.postings == 1
    assert await days_of(app_database, stall) == [(DAY, 1), (DAY + ONE_DAY, 2)]


async def test_each_posting_on_bank_clearing_names_its_credit(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    for paid_vnd in (20_000, 15_000, 25_000):
        await pay(app_database, stall, await a_bill(app_database, stall), amount_vnd=paid_vnd)

    with psycopg.connect(fresh_database.owner_url) as owner:
        by_item = owner.execute(
            "SELECT c.amount_vnd, sum(p.amount_vnd)::bigint FROM postings p"
            " JOIN bank_transactions c ON (c.org_id, c.id) = (p.org_id, p.item_id)"
            " WHERE p.debit_code = 'bank_clearing' GROUP BY c.id, c.amount_vnd ORDER BY 1"
        ).fetchall()
    assert by_item == [(15_000, 15_000), (20_000, 20_000), (25_000, 25_000)]


async def test_a_posting_on_bank_clearing_without_its_item_is_refused(
    app_database: Database, stall: PayableStall
) -> None:
    with pytest.raises(IntegrityError, match="clearing_has_its_item"):
        await post(app_database, stall, replace(a_posting(stall), item_id=None))


async def test_an_organisation_without_books_is_refused_loudly(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("DELETE FROM ledger_books")

    with pytest.raises(IntegrityError, match=r"\"day\""):
        await post(app_database, stall, a_posting(stall))
    with pytest.raises(BooksNotFound):
        await close(app_database, stall)


async def test_a_close_writes_the_balance_of_each_account_that_moved(
    app_database: Database, stall: PayableStall
) -> None:
    await post(app_database, stall, a_posting(stall, 5), a_posting(stall, 7, kind="unknown"))
    await close(app_database, stall)
    later = NOON + ONE_DAY
    await post(app_database, stall, a_posting(stall, 100, at=later), now=later)
    await close(app_database, stall, DAY + ONE_DAY)

    async with open_org_transaction(app_database, stall.org.id) as session:
        written = [
            {
                (one.code, one.subject_id): (one.balance_vnd, one.postings)
                for one in await list_checkpoints(session, stall.org.id, day)
            }
            for day in (DAY, DAY + ONE_DAY)
        ]
    keys = [bank_clearing(stall.account_id), takings(stall.payee_id), unapplied(stall.account_id)]
    clearing, taken, unknown = [(key.code.value, key.subject_id) for key in keys]
    assert written == [
        {clearing: (-12, 2), taken: (5, 1), unknown: (7, 1)},
        {clearing: (-112, 3), taken: (105, 2)},
    ]


async def test_days_close_in_their_order_and_never_twice(
    app_database: Database, stall: PayableStall
) -> None:
    first = await close(app_database, stall)
    with pytest.raises(DayClosed):
        await close(app_database, stall)
    with pytest.raises(DayClosed):
        await close(app_database, stall, DAY - ONE_DAY)
    with pytest.raises(DayNotNext, match="21/11/2026"):
        await close(app_database, stall, DAY + 2 * ONE_DAY)

    second = await close(app_database, stall, DAY + ONE_DAY)

    assert (first.previous_day, first.previous_hash) == (None, None)
    assert (second.previous_day, second.previous_hash) == (DAY, first.hash)


async def test_no_day_closes_before_it_begins(app_database: Database, stall: PayableStall) -> None:
    with pytest.raises(DayAhead):
        await close(app_database, stall, DAY, now=NOON - ONE_DAY)
    tomorrow = hanoi_day(read_clock()) + 2 * ONE_DAY
    with pytest.raises(DayAhead):  # by the database's clock, whatever the hub's says
        await close(app_database, stall, tomorrow, now=read_clock() + 9 * ONE_DAY)


async def test_today_can_be_closed_and_what_comes_then_is_tomorrows(
    app_database: Database, stall: PayableStall
) -> None:
    await close(app_database, stall, now=NOON)

    await post(app_database, stall, a_posting(stall), now=NOON + timedelta(hours=1))

    assert await days_of(app_database, stall) == [(DAY + ONE_DAY, 20_000)]


async def test_the_first_close_takes_in_all_that_lies_before_it(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    await post(
        app_database,
        stall,
        a_posting(stall, 1, at=NOON - 40 * ONE_DAY),
        a_posting(stall, 2, at=NOON - ONE_DAY),
        a_posting(stall, 4),
    )
    with psycopg.connect(fresh_database.owner_url) as owner:  # as before the books
        owner.execute("UPDATE postings SET day = '-infinity', item_id = NULL WHERE amount_vnd = 1")

    closed = await close(app_database, stall)

    assert (closed.postings, closed.postings_before) == (2, 1)
    async with open_org_transaction(app_database, stall.org.id) as session:
        (clearing, taken) = await list_checkpoints(session, stall.org.id, DAY)
    assert (clearing.balance_vnd, taken.balance_vnd) == (-7, 7)


async def test_no_first_close_while_an_earlier_release_may_still_post(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    """What it posts has no day, and a close would never have it."""
    await post(app_database, stall, a_posting(stall))
    with psycopg.connect(fresh_database.owner_url) as owner:  # as before the books
        owner.execute("UPDATE postings SET day = '-infinity', item_id = NULL")

    with pytest.raises(EarlierReleasePosts, match="after 18:00 20/11/2026"):
        await close(app_database, stall, now=NOON + QUIET_FOR - timedelta(seconds=1))

    assert (await close(app_database, stall, now=NOON + QUIET_FOR)).postings_before == 1


async def test_a_closed_head_goes_to_the_log_of_changes_and_to_the_log(
    app_database: Database, stall: PayableStall, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = await close(app_database, stall)

    async with open_org_transaction(app_database, stall.org.id) as session:
        (change,) = await list_changes(session, stall.org.id, object_kind="ledger_day", limit=10)
    head = closed.hash.hex()
    assert change.action == "ledger_day.closed"
    assert change.after == {"day": DAY.isoformat(), "hash": head}
    logged = [line for line in capsys.readouterr().out.splitlines() if "ledger_day.closed" in line]
    assert len(logged) == 1
    assert head in logged[0]


async def test_a_close_of_one_organisation_leaves_the_others_open(
    app_database: Database, stall: PayableStall
) -> None:
    neighbour = await a_payable_stall(app_database, code="HKXN")
    for one in (stall, neighbour):
        await post(app_database, one, a_posting(one))
    closed = await close(app_database, stall)

    await post(app_database, neighbour, a_posting(neighbour, 7), now=NOON + 2 * ONE_DAY)

    assert closed.postings == 1
    assert await days_of(app_database, neighbour) == [(DAY, 20_000), (DAY, 7)]
    assert (await close(app_database, neighbour)).previous_day is None


def test_every_column_of_a_posting_is_hashed() -> None:
    columns = {column.name for column in Posting.__table__.columns}
    assert set(POSTING_FIELDS) == columns - {"org_id"}


async def test_a_close_of_nothing_is_a_close(app_database: Database, stall: PayableStall) -> None:
    closed = [await close(app_database, stall, DAY + n * ONE_DAY) for n in range(3)]

    assert [one.postings for one in closed] == [0, 0, 0]
    assert len({one.hash for one in closed}) == 3


async def test_an_unknown_organisation_has_no_books(
    app_database: Database, stall: PayableStall
) -> None:
    with pytest.raises(BooksNotFound):
        await close_day(app_database, new_id(), DAY, actor=MANAGER, now=NOON)
