"""One box finds a bill, its credit, the bank's line, a parking session: by what people have."""

from datetime import date
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import TextClause, text

from city.search import queries
from city.search.rules import (
    FOUND_MAX,
    RECENT_MEMOS,
    RECENT_ROWS,
    FoundKind,
    read_query,
)
from city.search.views import Found, search
from core.db import Database
from core.ids import new_id
from parking.vehicles import VehicleClass
from tests.world.bills import a_bill, a_bill_request, a_reference, open_bills_as
from tests.world.databases import FreshDatabase
from tests.world.grown_tables import grow_bills, grow_credits
from tests.world.notices import pay
from tests.world.parking_sessions import Gate, a_stay
from tests.world.plans import explain

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

A_STATEMENT = text("""
    INSERT INTO statements (org_id, id, receiving_account_id, file_sha256, file_name, file_bytes,
        is_pasted, status, period_from, period_to, created_at)
    VALUES (:org_id, :id, :account_id, '\\x01', 'sao-ke.csv', 1, false, 'visible', :day, :day,
        now())
""")
LINES = text("""
    INSERT INTO statement_lines (org_id, id, statement_id, receiving_account_id, open_vnd, line_no,
        booked_on, is_date_only, direction, amount_vnd, bank_reference, memo, is_reversal,
        counterparty_name)
    SELECT :org_id, gen_random_uuid(), :id, :account_id, 1000 + n, n, :day, true, 'in', 1000 + n,
        'ft26' || n, CAST(:memo AS text), false, 'NGUYỄN THỊ LAN'
    FROM generate_series(1, CAST(:count AS int)) n
""")


async def add_lines(owner: Database, gate: Gate, *, count: int, memo: str) -> UUID:
    """Write a statement of the lot's account whose lines have 1.000 ₫ and one more each."""
    values = {
        "org_id": gate.org_id,
        "id": new_id(),
        "account_id": gate.stall.account_id,
        "day": date(2026, 11, 20),
    }
    async with owner.begin() as session:
        await session.execute(A_STATEMENT, values)
        await session.execute(LINES, {**values, "memo": memo, "count": count})
        await session.execute(text("ANALYZE statement_lines"))
    statement_id = values["id"]
    assert isinstance(statement_id, UUID)
    return statement_id


async def find(
    database: Database, org_id: UUID, typed: str, *, sees_plates: bool = False
) -> dict[FoundKind, tuple[Found, ...]]:
    found = await search(
        database, org_id, read_query(typed), list(FoundKind), sees_plates=sees_plates
    )
    assert not any(one.is_cut for one in found)
    return {one.kind: one.rows for one in found if one.rows}


async def test_each_thing_is_found_by_what_people_have_of_it(
    gate: Gate, app_database: Database, owner_database: Database
) -> None:
    bill = await a_bill(app_database, gate.stall, amount_vnd=23_000)
    await pay(app_database, gate.stall, bill, bank_reference="FT2633100012")
    statement_id = await add_lines(owner_database, gate, count=3, memo="Chị Đào mua rau củ")
    org_id = gate.org_id

    by_reference = await find(app_database, org_id, bill.reference.lower())
    assert [one.id for one in by_reference[FoundKind.BILL]] == [bill.id]
    assert [one.amount_vnd for one in by_reference[FoundKind.CREDIT]] == [23_000]  # in its memo
    by_code = await find(app_database, org_id, "ft2633100012")
    assert [one.reference for one in by_code[FoundKind.CREDIT]] == ["FT2633100012"]
    (line,) = (await find(app_database, org_id, "FT262"))[FoundKind.STATEMENT_LINE]
    assert (line.statement_id, line.line_no, line.amount_vnd) == (statement_id, 2, 1_002)
    by_amount = await find(app_database, org_id, "23.000 đ")
    assert set(by_amount) == {FoundKind.BILL, FoundKind.CREDIT}
    by_words = await find(app_database, org_id, "dao RAU lan")  # memo and counterparty
    assert len(by_words[FoundKind.STATEMENT_LINE]) == 3
    assert await find(app_database, org_id, "dao thit") == {}


async def test_another_systems_number_is_found_as_it_was_typed_and_in_either_case(
    gate: Gate, app_database: Database, owner_database: Database
) -> None:
    numbers = ("Don-17a", "DON-18", "don-19")
    requests = [a_bill_request(gate.stall, external_id=one) for one in numbers]
    references = [a_reference(gate.stall) for _ in numbers]
    opened = await open_bills_as(app_database, gate.stall, requests, references)
    bills = dict(zip(numbers, opened, strict=True))
    await add_lines(owner_database, gate, count=1, memo="mua rau")
    async with owner_database.begin() as session:
        await session.execute(text("UPDATE statement_lines SET bank_reference = 'Ft26-Xy9'"))

    for typed, kept in (("Don-17a", "Don-17a"), ("don-18", "DON-18"), ("Don-19", "don-19")):
        found = await find(app_database, gate.org_id, typed)
        assert [one.id for one in found[FoundKind.BILL]] == [bills[kept].id], typed
    assert FoundKind.STATEMENT_LINE in await find(app_database, gate.org_id, "Ft26-Xy9")
    assert FoundKind.BILL not in await find(app_database, gate.org_id, "DON-17A")


async def test_a_plate_is_found_whole_and_shown_masked_to_who_does_not_manage_parking(
    gate: Gate, app_database: Database
) -> None:
    stay_id = await a_stay(app_database, gate, vehicle_class=VehicleClass.CAR, plate="30F12345")

    (masked,) = (await find(app_database, gate.org_id, "30f-123.45"))[FoundKind.PARKING_SESSION]
    (whole,) = (await find(app_database, gate.org_id, "30F12345", sees_plates=True))[
        FoundKind.PARKING_SESSION
    ]

    assert (masked.id, masked.reference) == (stay_id, "30F***45")
    assert whole.reference == "30F-123.45"
    assert await find(app_database, gate.org_id, "30F12346") == {}


async def test_another_organisation_finds_nothing_of_it(
    gate: Gate, app_database: Database, owner_database: Database
) -> None:
    bill = await a_bill(app_database, gate.stall)
    await a_stay(app_database, gate, vehicle_class=VehicleClass.CAR, plate="30F12345")
    await add_lines(owner_database, gate, count=3, memo="mua rau")
    for typed in (bill.reference, "30F12345", "mua rau", "20.000", "ft262"):
        assert await find(app_database, new_id(), typed) == {}
        assert await find(app_database, gate.org_id, typed) != {}


async def test_a_kind_that_takes_too_long_is_left_out_and_said(
    gate: Gate, app_database: Database, owner_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_lines(owner_database, gate, count=20_000, memo="mua rau " * 30)
    monkeypatch.setattr("city.search.views.KIND_WITHIN_MS", 1)

    found = await search(
        app_database,
        gate.org_id,
        read_query("mua rau"),
        [FoundKind.STATEMENT_LINE],
        sees_plates=False,
    )

    assert [(one.is_cut, one.rows) for one in found] == [(True, ())]


# What a search reads of a grown table: these lines of its plan, and no whole table.
@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (queries.FIND_BILLS, "uq_bills_org_id_reference"),
        (queries.FIND_BILLS, "ix_bills_external"),
        (queries.FIND_CREDITS, "ix_bank_transactions_reference"),
        (queries.FIND_LINES, "ix_statement_lines_reference"),
    ],
    ids=["bills", "bills of others", "credits", "lines"],
)
async def test_grown_tables_are_searched_by_their_indexes(
    gate: Gate,
    app_database: Database,
    owner_database: Database,
    fresh_database: FreshDatabase,
    statement: TextClause,
    index: str,
) -> None:
    grow_bills(fresh_database.owner_url, gate.stall)
    grow_credits(fresh_database.owner_url, gate.stall)
    await add_lines(owner_database, gate, count=24_000, memo="mua rau")
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("ANALYZE")
    values = {
        "org_id": gate.org_id,
        "references": ["PPDXA22345678A"],
        "codes": ["FT26324000001", "ft26324000001"],
        "amount_vnd": None,
        "words": [],
        "recent": RECENT_ROWS,
        "recent_memos": RECENT_MEMOS,
        "limit": FOUND_MAX + 1,
    }
    named = {name: values[name] for name in statement.compile().params}

    plan = explain(fresh_database.app_url, gate.stall, statement, named)

    assert index in plan, plan
    whole = [one for one in plan.splitlines() if "Seq Scan" in one and "rows=1 " not in one]
    for table in ("on bills", "on bank_transactions", "on statement_lines"):
        assert not any(table in one for one in whole), plan
