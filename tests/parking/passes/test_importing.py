"""Passes from a table: all of its rows, or none and what is wrong with each."""

from uuid import UUID

import pytest

from core.clock import hanoi_day
from core.db import Database
from core.errors import InvalidRequest
from core.tenancy import open_org_transaction
from parking.passes import queries
from parking.passes.importing import ROWS_MAX, import_passes
from tests.world.constants import MANAGER, NOON
from tests.world.parking_sessions import Gate
from tests.world.passes import look_at_pass

pytestmark = pytest.mark.anyio

TODAY = hanoi_day(NOON)
COLUMNS = (
    "kind,vehicle_class,plates,holder_name,lot_id,valid_from,months,valid_until,exempt_as,reason"
)


async def load(database: Database, gate: Gate, *rows: str, columns: str = COLUMNS) -> list[UUID]:
    text = "\r\n".join([columns, *(row.replace("LOT", str(gate.lot.id)) for row in rows)])
    async with open_org_transaction(database, gate.org_id) as session:
        return await import_passes(session, gate.org_id, text, actor=MANAGER, now=NOON)


async def count(database: Database, gate: Gate) -> int:
    async with open_org_transaction(database, gate.org_id) as session:
        return len(await queries.list_passes(session, gate.org_id, today=TODAY, limit=10_000))


async def test_rows_become_passes_and_exemptions(app_database: Database, gate: Gate) -> None:
    sold, given = await load(
        app_database,
        gate,
        'monthly,motorbike,29-B1 123.45|29AA 000.01,"Hoa, chị",LOT,20/11/2026,2,,,',
        "exempt,car,30F-123.45,Phường Hàng Bạc,LOT,2026-11-20,,31/12/2026,state,CV 12",
    )

    one, other = [await look_at_pass(app_database, gate, id_) for id_ in (sold, given)]
    assert (one.plates, one.holder_name) == (("29AA00001", "29B112345"), "Hoa, chị")
    assert (one.in_force_at, one.terms[0].months) == (None, 2)
    assert (other.kind, other.exempt_as, other.reason) == ("exempt", "state", "CV 12")
    assert other.in_force_at is not None


@pytest.mark.parametrize("delimiter", ["\t", ";"])
async def test_a_table_is_read_as_spreadsheets_write_it(
    app_database: Database, gate: Gate, delimiter: str
) -> None:
    row = "monthly,motorbike,29B112345,Chị Hoa,LOT,2026-11-20,1".replace(",", delimiter)
    columns = "\ufeff" + COLUMNS.replace(",", delimiter)

    assert len(await load(app_database, gate, row, "", columns=columns)) == 1


async def test_nothing_is_stored_if_a_row_is_wrong_and_each_fault_has_its_row(
    app_database: Database, gate: Gate
) -> None:
    good = "monthly,motorbike,29B112345,Chị Hoa,LOT,2026-11-20,1,,,"
    with pytest.raises(InvalidRequest) as caught:
        await load(
            app_database,
            gate,
            good,
            "monthly,boat,29B112345,,LOT,20.11.2026,1,,,",
            "monthly,motorbike,,Chị Hoa,LOT,2026-11-20,13,,,",
            f"monthly,motorbike,29B112345,Chị Hoa,{UUID(int=5)},2026-11-20,1,,,",
            "monthly,bicycle,29B112345,Chị Hoa,LOT,2026-11-20,1,,,",
        )

    assert [(one.field, one.code) for one in caught.value.violations] == [
        ("rows[3].vehicle_class", "bad_value"),
        ("rows[3].holder_name", "bad_value"),
        ("rows[3].valid_from", "bad_value"),
        ("rows[4].plates", "out_of_range"),
        ("rows[5]", "lot_not_found"),
        ("rows[6]", "no_monthly_price"),
    ]
    assert await count(app_database, gate) == 0


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ("", "missing"),
        ("kind,plates", "missing"),
        (COLUMNS + ",màu", "unknown"),
        (COLUMNS + ",kind", "repeated"),
        (COLUMNS, "out_of_range"),
    ],
)
async def test_a_table_that_is_none_is_refused(
    app_database: Database, gate: Gate, columns: str, code: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await load(app_database, gate, columns=columns)

    assert [one.code for one in caught.value.violations] == [code]


async def test_more_rows_than_a_request_can_take_are_refused_before_any_is_read(
    app_database: Database, gate: Gate
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await load(app_database, gate, *(["exempt,boat,,,,,,,,"] * (ROWS_MAX + 1)))

    assert [one.code for one in caught.value.violations] == ["out_of_range"]
    assert await count(app_database, gate) == 0


@pytest.mark.slow
@pytest.mark.timeout(600)  # room for a machine that is busy otherwise
async def test_two_thousand_rows_are_taken_and_one_more_is_not(
    app_database: Database, gate: Gate
) -> None:
    row = "exempt,motorbike,29AA{:05d},Cư dân,LOT,2026-11-20,,2026-12-31,resident,Tổ 5"
    rows = [row.format(n) for n in range(ROWS_MAX)]

    assert len(await load(app_database, gate, *rows)) == ROWS_MAX
    with pytest.raises(InvalidRequest):
        await load(app_database, gate, *rows, row.format(ROWS_MAX))
    assert await count(app_database, gate) == ROWS_MAX
