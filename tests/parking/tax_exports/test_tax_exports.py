"""Tax exports: every parking transaction of a seller's month once, as the ledger has it."""

import asyncio
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.errors import InvalidRequest
from core.ids import new_id
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from parking.collections.rules import CollectionRail
from parking.exits.paying import Taken, collect, open_bill
from parking.places.models import ParkingOperator
from parking.places.posters import make_poster
from parking.shifts.deposits import DepositWanted, open_deposit
from parking.shifts.late import post_late_cash
from parking.shifts.selling import sell_in_cash
from parking.shifts.service import close_shift
from parking.tax_exports import service
from parking.tax_exports.errors import TaxExportIdTaken
from parking.tax_exports.rules import (
    FileFormat,
    check_columns,
    check_month,
    write_rate,
)
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts
from tests.world.bills import a_bill
from tests.world.breaks import give_up_rest
from tests.world.constants import MANAGER, NOON
from tests.world.databases import Template, a_template
from tests.world.notices import pay
from tests.world.parking_sessions import (
    PER_VISIT_VND,
    Gate,
    a_bill_wanted,
    a_gate,
    a_stay,
    cash,
)
from tests.world.passes import MONTH_VND, MOTORBIKE, a_pass, with_monthly_prices
from tests.world.refunds import a_refund, enter_account, find_payments, hold_by, take
from tests.world.serials import next_serial
from tests.world.tax_exports import (
    DECEMBER,
    JANUARY,
    NOVEMBER,
    a_tax_export,
    find_operator,
    read_content,
    read_month,
    read_rows,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

IN_DECEMBER = NOON + timedelta(days=20)
PASS_VND = MONTH_VND[MOTORBIKE]


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    """The gate, whose tariff has a tax of 8 % and prices of a month."""

    async def made(database: Database) -> Gate:
        return await a_gate(database, document=with_monthly_prices() | {"tax_rate_bps": 800})

    with a_template(cluster, made) as template:
        yield template


async def collect_once(
    database: Database, gate: Gate, taken: Taken, *, now: datetime = NOON
) -> UUID:
    """Let a vehicle pay at the gate."""
    stay_id = await a_stay(database, gate)
    async with open_org_transaction(database, gate.org_id) as session:
        await collect(
            session, gate.org_id, stay_id, taken, priced_at=NOON, actor=gate.attendant, now=now
        )
    return stay_id


def on_behalf() -> Taken:
    return Taken(id=new_id(), rail=CollectionRail.FLOAT, amount_vnd=PER_VISIT_VND)


async def pay_by_code(database: Database, gate: Gate, *, now: datetime = NOON) -> BillFacts:
    """Let a vehicle pay by the code of its own bill."""
    stay_id = await a_stay(database, gate)
    async with open_org_transaction(database, gate.org_id) as session:
        bill = await open_bill(
            session,
            gate.org_id,
            stay_id,
            a_bill_wanted(gate, PER_VISIT_VND),
            priced_at=now,
            actor=gate.attendant,
            now=now,
        )
    assert await pay(database, gate.stall, bill, now=now) == "settle"
    return bill


async def deposit(database: Database, gate: Gate, *, parts_vnd: tuple[int, ...] = ()) -> None:
    """Pay the deposit of what the shift paid on behalf, at once or in parts."""
    async with open_org_transaction(database, gate.org_id) as session:
        bill = await open_deposit(
            session,
            gate.org_id,
            gate.shift_id,
            DepositWanted(
                id=new_id(),
                reference=make_reference(gate.lot.org.code, next_serial()),
                valid_for=timedelta(minutes=15),
                monitored_for=timedelta(days=1),
            ),
            actor=gate.attendant,
            now=NOON,
        )
    for amount_vnd in parts_vnd or (bill.amount_vnd,):
        await pay(database, gate.stall, bill, amount_vnd=amount_vnd)


async def sell_pass_in_cash(database: Database, gate: Gate) -> None:
    pass_id = await a_pass(database, gate, is_paid=False)
    async with open_org_transaction(database, gate.org_id) as session:
        await sell_in_cash(
            session,
            gate.org_id,
            pass_id,
            collection_id=new_id(),
            amount_vnd=PASS_VND,
            actor=gate.attendant,
            now=NOON,
        )


async def close(database: Database, gate: Gate, *, now: datetime = NOON) -> Any:
    async with open_org_transaction(database, gate.org_id) as session:
        return await close_shift(
            session,
            gate.org_id,
            gate.shift_id,
            counted_vnd=0,
            note=None,
            actor=gate.attendant,
            now=now,
        )


async def give_back(database: Database, gate: Gate, bill: BillFacts, amount_vnd: int) -> None:
    """Refund a part of what paid a bill, in December."""
    await hold_by(database, gate.stall, "organisation")
    (payment_id,) = await find_payments(database, gate.stall, bill)
    refund = await a_refund(
        database, gate.stall, payment_id=payment_id, amount_vnd=amount_vnd, now=IN_DECEMBER
    )
    await enter_account(database, gate.stall, refund)
    for step in ("approve", "instruct"):
        await take(database, gate.stall, refund, step, now=IN_DECEMBER)


def amounts(rows: list[dict[str, str]]) -> Counter[tuple[str, str, int]]:
    """Count the rows by (item, rail, amount)."""
    return Counter((row["item"], row["rail"], int(row["amount_vnd"])) for row in rows)


STAY, POSTER = "Dịch vụ trông giữ xe: xe máy", "Dịch vụ trông giữ xe (mã QR tại bãi)"
PASS = "Vé tháng gửi xe: xe máy"
QR, CASH, FLOAT = "Chuyển khoản VietQR", "Tiền mặt", "Nhân viên nộp hộ"


async def test_every_transaction_of_a_month_is_there_once_and_adds_up_to_the_ledger(
    app_database: Database, worker_database: Database, gate: Gate
) -> None:
    for _ in range(3):
        await collect_once(app_database, gate, cash(PER_VISIT_VND))
    for _ in range(2):
        await collect_once(app_database, gate, on_behalf())
    await deposit(app_database, gate)
    refunded = await pay_by_code(app_database, gate)
    await pay_by_code(app_database, gate, now=IN_DECEMBER)
    await a_pass(app_database, gate)  # by its bill
    await sell_pass_in_cash(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await make_poster(session, gate.org_id, gate.lot.id, actor=MANAGER, now=NOON)
    other = await a_bill(app_database, gate.stall)  # of the same payee, and no parking
    await pay(app_database, gate.stall, other, memo="gui xe", amount_vnd=7_000)  # on the poster
    await pay(app_database, gate.stall, other)
    shift = await close(app_database, gate)
    late_id = new_id()
    async with open_org_transaction(app_database, gate.org_id) as session:
        await session.execute(
            text(
                "INSERT INTO collections (org_id, id, lot_id, session_id, shift_id, rail,"
                " amount_vnd, receipt_number, collected_at, recorded_at)"
                " SELECT org_id, :id, lot_id, session_id, shift_id, rail, amount_vnd, 'PT-MUON',"
                " collected_at, recorded_at FROM collections WHERE rail = 'cash'"
                " AND session_id IS NOT NULL LIMIT 1"
            ),
            {"id": late_id},
        )
        await post_late_cash(session, gate.org_id, shift, late_id, PER_VISIT_VND, now=NOON)
    await give_back(app_database, gate, refunded, 2_000)

    november = await a_tax_export(app_database, worker_database, gate)
    december = await a_tax_export(app_database, worker_database, gate, month=DECEMBER)

    rows = await read_rows(app_database, november)
    assert amounts(rows) == {
        (STAY, CASH, PER_VISIT_VND): 3 + 1,  # one came late
        (STAY, FLOAT, PER_VISIT_VND): 2,
        (STAY, QR, PER_VISIT_VND): 1,
        (PASS, QR, PASS_VND): 1,
        (PASS, CASH, PASS_VND): 1,
        (POSTER, QR, 7_000): 1,
    }
    assert len({row["transaction"] for row in rows}) == len(rows) == november.row_count
    takings_vnd = await read_month(app_database, gate, NOVEMBER)
    assert sum(int(row["amount_vnd"]) for row in rows) == november.exported_vnd
    assert november.exported_vnd == takings_vnd - 20_000  # the bill that was no parking
    assert november.takings_vnd == takings_vnd
    rows = await read_rows(app_database, december)
    assert amounts(rows) == {(STAY, QR, PER_VISIT_VND): 1, (STAY, QR, -2_000): 1}
    assert december.exported_vnd == await read_month(app_database, gate, DECEMBER)
    (back,) = [row for row in rows if row["kind"] == "Hoàn tiền"]
    assert (back["quantity"], back["unit_price_vnd"]) == ("-1", "2000")


async def test_what_was_given_up_of_a_bill_was_not_sold(
    app_database: Database, worker_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate)
    async with open_org_transaction(app_database, gate.org_id) as session:
        wanted = a_bill_wanted(gate, PER_VISIT_VND)
        facts = {"priced_at": NOON, "actor": gate.attendant, "now": NOON}
        bill = await open_bill(session, gate.org_id, stay_id, wanted, **facts)
    await pay(app_database, gate.stall, bill, amount_vnd=PER_VISIT_VND - 1_000)
    await give_up_rest(app_database, gate.stall, bill, amount_vnd=1_000)

    export = await a_tax_export(app_database, worker_database, gate)

    assert amounts(await read_rows(app_database, export)) == {(STAY, QR, PER_VISIT_VND - 1_000): 1}
    assert (export.exported_vnd, export.takings_vnd) == (PER_VISIT_VND - 1_000, PER_VISIT_VND)


async def test_a_row_says_who_sold_what_with_the_tax_in_it_and_never_a_whole_plate(
    app_database: Database, worker_database: Database, gate: Gate
) -> None:
    stay_id = await a_stay(app_database, gate, plate="29AA12345")
    async with open_org_transaction(app_database, gate.org_id) as session:
        await collect(
            session,
            gate.org_id,
            stay_id,
            cash(PER_VISIT_VND),
            priced_at=NOON,
            actor=gate.attendant,
            now=NOON,
        )
    await close(app_database, gate)

    export = await a_tax_export(app_database, worker_database, gate)

    content = await read_content(app_database, export)
    assert b"29AA12345" not in content
    (row,) = await read_rows(app_database, export)
    async with open_org_transaction(app_database, gate.org_id) as session:
        seller = await session.get_one(
            ParkingOperator, (gate.org_id, await find_operator(app_database, gate))
        )
    assert (row["seller_name"], row["seller_address"], row["seller_tax_code"]) == (
        seller.name,
        seller.address,
        seller.tax_code,
    )
    assert (row["tax_rate"], row["net_vnd"], row["tax_vnd"]) == ("8%", "4630", "370")
    assert (row["quantity"], row["unit"], row["unit_price_vnd"]) == ("1", "Lượt", "5000")
    assert (row["plate"], row["sold_at"]) == ("29A***45", "2026-11-20 12:00:00")
    assert row["document"].startswith("PT")
    assert row["buyer"] == ""


async def test_a_deposit_that_was_paid_in_parts_stays_what_the_bank_reported(
    app_database: Database, worker_database: Database, gate: Gate
) -> None:
    for _ in range(2):
        await collect_once(app_database, gate, on_behalf())
    await deposit(app_database, gate, parts_vnd=(4_000, 6_000))

    export = await a_tax_export(app_database, worker_database, gate)

    rows = await read_rows(app_database, export)
    assert sorted(int(row["amount_vnd"]) for row in rows) == [4_000, 6_000]
    assert export.exported_vnd == await read_month(app_database, gate, NOVEMBER)


async def test_another_sellers_lot_is_not_in_it(
    app_database: Database, worker_database: Database, gate: Gate
) -> None:
    await pay_by_code(app_database, gate)
    other_id = new_id()
    async with open_org_transaction(app_database, gate.org_id) as session:
        session.add(
            ParkingOperator(
                org_id=gate.org_id,
                id=other_id,
                name="Bên bán khác",
                address="Hà Nội",
                tax_code="0100108688",
                created_at=NOON,
            )
        )

    export = await a_tax_export(app_database, worker_database, gate, operator_id=other_id)

    assert await read_rows(app_database, export) == []
    assert (export.row_count, export.exported_vnd, export.takings_vnd) == (0, 0, 0)


async def test_saved_columns_hold_in_their_order_and_no_text_is_a_formula(
    app_database: Database, worker_database: Database, gate: Gate
) -> None:
    await pay_by_code(app_database, gate)
    heads = (("Tiền", "amount_vnd"), ("=Bãi", "lot"), ("Lúc", "sold_at"), ("Mã", "transaction"))
    async with open_org_transaction(app_database, gate.org_id) as session:
        await service.save_layout(
            session, gate.org_id, check_columns(heads), actor=MANAGER, now=NOON
        )
        await session.execute(text("UPDATE lots SET name = '=1+1'"))

    in_csv = await a_tax_export(app_database, worker_database, gate)
    in_xlsx = await a_tax_export(app_database, worker_database, gate, format_=FileFormat.XLSX)

    (head, row) = (await read_content(app_database, in_csv)).decode("utf-8-sig").splitlines()
    assert head == "Tiền,'=Bãi,Lúc,Mã"
    assert row.startswith("5000,'=1+1,2026-11-20 12:00:00,")
    with zipfile.ZipFile(io.BytesIO(await read_content(app_database, in_xlsx))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "<is><t>=1+1</t></is>" in sheet
    assert '<c r="A2" s="' in sheet
    assert "<v>5000</v>" in sheet


async def test_the_same_id_again_is_the_same_export_and_with_other_facts_is_refused(
    app_database: Database, gate: Gate
) -> None:
    operator_id, export_id = await find_operator(app_database, gate), new_id()

    async def ask(month: date) -> UUID:
        async with open_org_transaction(app_database, gate.org_id) as session:
            made = await service.request_export(
                session,
                gate.org_id,
                export_id,
                operator_id=operator_id,
                month=month,
                format_=FileFormat.CSV,
                actor=MANAGER,
                now=JANUARY,
            )
            return made.job_id

    asked = await asyncio.gather(*(ask(NOVEMBER) for _ in range(5)))  # at once
    assert len({*asked, await ask(NOVEMBER)}) == 1
    with pytest.raises(TaxExportIdTaken):
        await ask(DECEMBER)


@pytest.mark.parametrize("month", ["2026-11", "2026-13", "2026-1", "1999-10", "2027-01", ""])
def test_a_month_is_over_before_it_is_exported(month: str) -> None:
    with pytest.raises(InvalidRequest):
        check_month(month, now=NOON)


def test_the_month_before_is_over_with_its_last_instant_in_hanoi() -> None:
    ended_at = datetime.fromisoformat("2026-12-01T00:00:00+07:00")

    assert check_month("2026-11", now=ended_at) == NOVEMBER
    with pytest.raises(InvalidRequest):
        check_month("2026-11", now=ended_at - timedelta(microseconds=1))


@pytest.mark.parametrize(
    "columns",
    [
        (),
        (("Tiền", "amount_vnd"),),  # of what, and when?
        (("Mã", "transaction"), ("Lúc", "sold_at"), ("Tiền", "amount_vnd"), ("T", "amount_vnd")),
        (("Mã", "transaction"), ("Lúc", "sold_at"), ("Tiền", "amount_vnd"), ("Xe", "whole_plate")),
        (("Mã", "transaction"), ("Lúc", "sold_at"), ("Tiền\n", "amount_vnd")),
        (("Mã", "transaction"), ("Lúc", "sold_at"), ("", "amount_vnd")),
    ],
)
def test_columns_that_explain_nothing_are_refused(columns: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(InvalidRequest):
        check_columns(columns)


def test_rates_are_written_as_people_write_them() -> None:
    assert [write_rate(bps) for bps in (None, 0, 800, 1000, 750, 755)] == [
        *("", "0%", "8%", "10%", "7,5%", "7,55%")
    ]
