"""Lists and counts on a past of thousands of payments: each filter beside the whole list."""

from datetime import date, datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import text

from core.clock import day_bounds, hanoi_day, read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from loadtests.history import write_history
from ops.postgres.supervisor import Cluster
from payments.bills.queries_lists import list_bills
from payments.bills.rules import BillFacts, BillStatus, effective_status
from payments.breaks.views import BreakView, list_breaks
from payments.credits.rules import Verdict
from payments.credits.sales import count_all_sales, count_sales, find_sale, list_sales
from payments.credits.views import CreditView, list_credits
from tests.payments.invariants import find_violations
from tests.world.databases import FreshDatabase
from tests.world.serials import next_code
from tests.world.stalls import PayableStall, a_neighbour, a_payable_stall

pytestmark = pytest.mark.anyio

PAYMENTS = 4_000
COUNTED = {"settle", "part", "over", "counter_sale"}
ALL = 100_000


@pytest.fixture
async def stall(
    cluster: Cluster, fresh_database: FreshDatabase, app_database: Database
) -> PayableStall:
    """A stall that shares its account; half of the past is its organisation's."""
    grown, other = (
        await a_payable_stall(app_database, code=next_code()),
        await a_payable_stall(app_database, code=next_code()),
    )
    await a_neighbour(app_database, grown)
    superuser_url = cluster.dsn(dbname=fresh_database.name)
    write_history(superuser_url, [grown.org.id, other.org.id], PAYMENTS)
    return grown


async def list_all_bills(database: Database, stall: PayableStall) -> list[BillFacts]:
    async with open_org_transaction(database, stall.org.id) as session:
        return await list_bills(session, stall.org.id, limit=ALL, now=read_clock())


async def list_all_credits(database: Database, stall: PayableStall) -> list[CreditView]:
    async with open_org_transaction(database, stall.org.id) as session:
        return await list_credits(session, stall.org.id, limit=ALL)


def is_of_day(instant: datetime, day: date) -> bool:
    since, until = day_bounds(day)
    return since <= instant < until


@pytest.mark.slow
async def test_a_written_past_is_what_the_hub_would_have_left(
    stall: PayableStall, app_database: Database, fresh_database: FreshDatabase
) -> None:
    credits_ = await list_all_credits(app_database, stall)

    assert find_violations(fresh_database.owner_url) == []
    assert len(credits_) == PAYMENTS // 2
    assert {one.verdict for one in credits_} == {*COUNTED, "no_bill", "not_takings"}
    assert timedelta(days=39) < credits_[0].received_at - credits_[-1].received_at


async def test_bills_are_listed_by_their_states(
    stall: PayableStall, app_database: Database
) -> None:
    """Beside the past, an open and a part-paid bill can be paid still, and two have just ended."""
    now = read_clock()
    unpaid = text("""
        INSERT INTO bills (
            org_id, id, link_id, payee_id, receiving_account_id, rail, reference, public_token,
            amount_vnd, paid_vnd, received_vnd, purpose, status, created_by, created_at,
            expires_at, monitor_until)
        SELECT org_id, gen_random_uuid(), link_id, payee_id, receiving_account_id, rail,
               left(:name || status, 13), :name || status, amount_vnd, paid_vnd, received_vnd,
               purpose, CASE status WHEN 'expired' THEN 'open' ELSE status END, created_by,
               created_at, :ends, :ends
        FROM (SELECT DISTINCT ON (status) * FROM bills
              WHERE status IN ('part_paid', 'expired')) AS old
    """)
    async with open_org_transaction(app_database, stall.org.id) as session:
        for name, ends in (("new", now + timedelta(hours=1)), ("late", now)):
            await session.execute(unpaid, {"name": name, "ends": ends})
    everything = await list_all_bills(app_database, stall)
    states = [effective_status(b.status, expires_at=b.expires_at, now=now) for b in everything]

    async with open_org_transaction(app_database, stall.org.id) as session:
        for statuses in [*([one] for one in BillStatus), ["open", "expired"], []]:
            found = await list_bills(session, stall.org.id, statuses=statuses, limit=ALL, now=now)
            page = await list_bills(session, stall.org.id, statuses=statuses, limit=3, now=now)
            wanted = [
                one for one, state in zip(everything, states, strict=True) if state in statuses
            ]
            assert found == wanted
            assert page == wanted[:3]
    assert {"open", "part_paid", "expired", "cancelled", "over_paid"} <= set(states)


async def test_bills_are_listed_by_each_filter_and_page_by_page(
    stall: PayableStall, app_database: Database
) -> None:
    now = read_clock()
    everything = await list_all_bills(app_database, stall)
    some = everything[len(everything) // 2]
    named = next(one for one in everything if one.external_id)
    since, until = some.created_at, some.created_at + timedelta(days=3)

    async with open_org_transaction(app_database, stall.org.id) as session:

        async def find(**filters: object) -> list[BillFacts]:
            return await list_bills(
                session,
                stall.org.id,
                limit=ALL,
                now=now,
                **filters,  # type: ignore[arg-type]
            )

        assert await find(external_id=named.external_id) == [named]
        assert await find(external_id="nobody-has-this") == []
        assert await find(references=[some.reference]) == [some]
        assert await find(references=[]) == []
        assert await find(before_id=some.id) == everything[everything.index(some) + 1 :]
        assert await find(payee_id=stall.payee_id) == [
            one for one in everything if one.payee_id == stall.payee_id
        ]
        in_days = await find(since=since, until=until, statuses=["paid"])
    wanted = [one for one in everything if since <= one.created_at < until]
    assert in_days == [one for one in wanted if one.status == "paid"] != []


@pytest.mark.slow
async def test_credits_are_listed_by_each_filter_and_page_by_page(
    stall: PayableStall, app_database: Database
) -> None:
    everything = await list_all_credits(app_database, stall)
    some = everything[len(everything) // 3]
    day = hanoi_day(some.received_at)
    since, until = day_bounds(day)
    mine = {one.id for one in everything if one.payee_id in (stall.payee_id, None)}
    verdicts: list[list[Verdict] | None] = [None, [], [Verdict.OVER], list(Verdict)]
    verdicts += [[Verdict.SETTLE, Verdict.NO_BILL], [Verdict.NOT_TAKINGS], [Verdict.NO_BILL]]

    async with open_org_transaction(app_database, stall.org.id) as session:
        for wanted, payee_id, is_day, before in product(
            verdicts, (None, stall.payee_id), (False, True), (None, some.id)
        ):
            found = await list_credits(
                session,
                stall.org.id,
                payee_id=payee_id,
                since=since if is_day else None,
                until=until if is_day else None,
                verdicts=wanted,
                before_id=before,
                limit=40,
            )
            assert (
                found
                == [
                    one
                    for one in everything
                    if (wanted is None or one.verdict in wanted)
                    and (payee_id is None or one.id in mine)
                    and (not is_day or is_of_day(one.received_at, day))
                    and (before is None or one.id < before)
                ][:40]
            )


async def test_a_stalls_day_is_its_own_and_what_nobody_has_yet(
    stall: PayableStall, app_database: Database
) -> None:
    everything = await list_all_credits(app_database, stall)
    org_id, payee_id = stall.org.id, stall.payee_id
    unclaimed = next(one for one in everything if one.payee_id is None)
    corrected = next(one for one in everything if one.verdict == "not_takings")
    days = {hanoi_day(one.received_at) for one in (unclaimed, corrected, everything[0])}

    async with open_org_transaction(app_database, org_id) as session:
        for day in days:
            since, until = day_bounds(day)
            of_day = [one for one in everything if is_of_day(one.received_at, day)]
            mine = [one for one in of_day if one.payee_id in (payee_id, None)]
            sales = await list_sales(session, org_id, payee_id, since=since, until=until)
            assert [one.credit_id for one in sales] == [one.id for one in mine] != []
            counted = [one for one in of_day if one.verdict in COUNTED]
            own = [one for one in counted if one.payee_id == payee_id]
            bounds = {"since": since, "until": until}
            assert await count_all_sales(session, org_id, **bounds) == len(counted)
            assert await count_sales(session, org_id, payee_id, **bounds) == len(own)
        seen = await find_sale(session, org_id, payee_id, unclaimed.id)
        others = next(one for one in everything if one.payee_id not in (payee_id, None))
        assert seen is not None
        assert seen.credit_id == unclaimed.id
        assert await find_sale(session, org_id, payee_id, others.id) is None


async def test_breaks_are_listed_by_each_filter(
    stall: PayableStall, app_database: Database
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:

        async def find(**filters: object) -> list[BreakView]:
            return await list_breaks(session, stall.org.id, limit=ALL, **filters)  # type: ignore[arg-type]

        everything = await find()
        for is_open, kind in product((None, True, False), (None, "refund_due", "stuck")):
            assert await find(is_open=is_open, kind=kind) == [
                one
                for one in everything
                if (is_open is None or (one.closed_at is None) == is_open)
                and (kind is None or one.kind == kind)
            ]
    assert {one.closed_at is None for one in everything} == {True, False}
