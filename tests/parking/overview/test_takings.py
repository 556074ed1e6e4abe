"""Takings by rail: each by its own name, alike in the lot's day, the hand-over and the exports."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.clock import hanoi_day, read_clock
from core.db import Database
from core.errors import HubError
from core.ids import new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from parking.collections.rules import CollectionRail
from parking.exits.joining import join_stays
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.paying import Taken, collect, open_bill
from parking.overview.day import LotDay, read_day
from parking.overview.queries import sum_rails
from parking.shifts.service import close_shift
from parking.shifts.views import ShiftReport, read_report
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.notices import pay
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_bill_wanted, a_stay, as_stall, cash
from tests.world.tolls import PLATE, TollGate, a_gate_of_today, a_toll_gate

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    with a_template(cluster, a_gate_of_today) as template:
        yield template


@pytest.fixture
async def place(
    gate_template: Template[Gate], app_database: Database, owner_database: Database, sealer: Sealer
) -> AsyncIterator[TollGate]:
    async with a_toll_gate(gate_template.holds, app_database, owner_database, sealer) as made:
        yield made


async def take(place: TollGate, stay_id: UUID, taken: Taken) -> None:
    now = read_clock()
    async with open_org_transaction(place.database, place.org_id) as session:
        await collect(
            session,
            place.org_id,
            stay_id,
            taken,
            priced_at=now,
            actor=place.gate.attendant,
            now=now,
        )


async def scan(place: TollGate, stay_id: UUID) -> None:
    now = read_clock()
    async with open_org_transaction(place.database, place.org_id) as session:
        bill = await open_bill(
            session,
            place.org_id,
            stay_id,
            a_bill_wanted(place.gate, PER_VISIT_VND),
            priced_at=now,
            actor=place.gate.attendant,
            now=now,
        )
    stall = await as_stall(place.database, place.gate.lot, is_sandbox=True)
    assert await pay(place.database, stall, bill, now=now) == "settle"


async def let_out(place: TollGate, stay_ids: list[UUID]) -> None:
    async with open_org_transaction(place.database, place.org_id) as session:
        requests = [LeaveRequest(session_id=id_, actor=place.gate.attendant) for id_ in stay_ids]
        left = await leave(session, place.org_id, requests, now=read_clock())
    assert not [one for one in left if isinstance(one, HubError)]


async def read_both(place: TollGate) -> tuple[LotDay, ShiftReport]:
    now = read_clock()
    async with open_org_transaction(place.database, place.org_id) as session:
        day = await read_day(session, place.org_id, place.gate.lot.id, hanoi_day(now), now=now)
        return day, await read_report(session, place.org_id, place.gate.shift_id)


async def sum_debits(place: TollGate) -> dict[str, int]:
    """Return what the takings got, by the account that it came from."""
    async with open_org_transaction(place.database, place.org_id) as session:
        rows = await session.execute(
            text(
                "SELECT debit_code, sum(amount_vnd)::bigint FROM postings"
                " WHERE credit_code = 'takings' GROUP BY debit_code"
            )
        )
        return {row[0]: row[1] for row in rows}


async def test_what_was_paid_of_a_joined_stay_is_exported_with_the_one_that_goes_on(
    place: TollGate,
) -> None:
    now = read_clock()
    kept_id = await a_stay(
        place.database, place.gate, ticket="A000017", entered_at=now - timedelta(hours=1)
    )
    by_cash, by_qr = [await a_stay(place.database, place.gate, entered_at=now) for _ in "12"]
    await take(place, by_cash, cash(PER_VISIT_VND))
    await scan(place, by_qr)
    stay_ids = [kept_id, by_cash, by_qr]
    async with open_org_transaction(place.database, place.org_id) as session:
        for other_id in stay_ids[1:]:
            await join_stays(
                session, place.org_id, kept_id, other_id, reason="Một xe", actor=MANAGER, now=now
            )
        rails = await sum_rails(session, place.org_id, stay_ids)
        paid = await session.execute(text("SELECT id, paid_vnd FROM parking_sessions"))
        said = {row[0]: row[1] for row in paid if row[1]}

    assert rails == {kept_id: {"cash": PER_VISIT_VND, "vietqr": PER_VISIT_VND}}
    assert said == {kept_id: 2 * PER_VISIT_VND}


async def test_each_rail_counts_under_its_own_name_and_all_agree_with_the_ledger(
    place: TollGate, fresh_database: FreshDatabase
) -> None:
    now = read_clock()
    by_qr, by_cash, exempt = [
        await a_stay(place.database, place.gate, entered_at=now) for _ in "123"
    ]
    tolls = []
    for plate in (PLATE, "29AA54321"):
        place.fill_wallet(plate)
        tolls.append(await a_stay(place.database, place.gate, plate=plate, entered_at=now))
        assert (await place.charge(tolls[-1], account=plate)).status == "charged"
    await scan(place, by_qr)
    await take(place, by_cash, cash(PER_VISIT_VND))
    free = Taken(id=new_id(), rail=CollectionRail.EXEMPT, amount_vnd=None, reason="Xe công an")
    await take(place, exempt, free)
    stay_ids = [by_qr, by_cash, exempt, *tolls]
    await let_out(place, stay_ids)
    async with open_org_transaction(place.database, place.org_id) as session:
        await close_shift(
            session,
            place.org_id,
            place.gate.shift_id,
            counted_vnd=PER_VISIT_VND,
            note=None,
            actor=place.gate.attendant,
            now=read_clock(),
        )
        rails = await sum_rails(session, place.org_id, stay_ids)
        paid = await session.execute(
            text("SELECT id, paid_vnd, waived_vnd FROM parking_sessions ORDER BY id")
        )
        said = {row[0]: (row[1], row[2]) for row in paid}

    day, report = await read_both(place)

    wanted = {
        "cash": (1, PER_VISIT_VND),
        "exempt": (1, PER_VISIT_VND),
        "toll": (2, 2 * PER_VISIT_VND),
        "vietqr": (1, PER_VISIT_VND),
    }
    assert {one.rail: (one.count, one.amount_vnd) for one in day.taken} == wanted
    assert {n: (one.count, one.amount_vnd) for n, one in report.by_rail.items()} == wanted
    assert await sum_debits(place) == {
        "bank_clearing": PER_VISIT_VND,
        "cash_in_drawer": PER_VISIT_VND,
        "toll_receivable": 2 * PER_VISIT_VND,
    }
    assert said == {
        id_: (0, PER_VISIT_VND) if id_ == exempt else (PER_VISIT_VND, 0) for id_ in stay_ids
    }
    assert {id_: sum(rails.get(id_, {}).values()) for id_ in stay_ids} == {
        id_: paid_vnd for id_, (paid_vnd, _) in said.items()
    }
    assert rails[tolls[0]] == {"toll": PER_VISIT_VND}
    assert find_violations(fresh_database.owner_url) == []
