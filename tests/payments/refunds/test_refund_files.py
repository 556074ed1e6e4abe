"""Payment files: each approved refund in one of them, with the same bytes at each download."""

import io
from uuid import UUID, uuid4
from zipfile import ZipFile

import pytest

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.refunds.errors import RefundFileEmpty, RefundFileIdTaken, RefundLayoutUnknown
from payments.refunds.files import get_layout, list_layouts, make_file, write_file
from payments.refunds.models import Refund, RefundFile
from payments.refunds.queries import get_refund
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import MB, NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import pay
from tests.world.refunds import (
    FINANCE,
    a_refund,
    enter_account,
    find_payments,
    hold_by,
    read_in_transit,
    take,
)
from tests.world.stalls import PayableStall


async def an_approved_refund(
    database: Database, stall: PayableStall, *, amount_vnd: int = 5_000
) -> Refund:
    bill = await a_bill(database, stall)
    await pay(database, stall, bill)
    (payment_id,) = await find_payments(database, stall, bill)
    refund = await a_refund(database, stall, payment_id=payment_id, amount_vnd=amount_vnd)
    await enter_account(database, stall, refund)
    return await take(database, stall, refund, "approve")


async def write(
    database: Database, stall: PayableStall, file_id: UUID, *, layout: str = "plain"
) -> RefundFile:
    async with open_org_transaction(database, stall.org.id) as session:
        return await make_file(
            session,
            stall.org.id,
            file_id,
            account_id=stall.account_id,
            layout=layout,
            actor=FINANCE,
            now=NOON,
        )


@pytest.mark.anyio
async def test_what_is_approved_is_instructed_by_one_file_and_no_other(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await hold_by(app_database, stall, "organisation")
    refunds = [await an_approved_refund(app_database, stall) for _ in range(2)]
    file_id = new_id()

    first, again = [await write(app_database, stall, file_id) for _ in range(2)]

    assert (first.refunds, first.amount_vnd) == (2, 10_000)
    assert first.content == again.content
    async with open_org_transaction(app_database, stall.org.id) as session:
        for refund in refunds:
            seen = await get_refund(session, stall.org.id, refund.id)
            assert (seen.status, seen.file_id) == ("instructed", file_id)
    assert await read_in_transit(app_database, stall) == 10_000
    with pytest.raises(RefundFileEmpty):
        await write(app_database, stall, new_id())
    with pytest.raises(RefundFileIdTaken):
        await write(app_database, stall, file_id, layout="plain_english")
    with pytest.raises(RefundLayoutUnknown):
        await write(app_database, stall, new_id(), layout="of_some_bank")
    assert find_violations(fresh_database.owner_url) == []


def a_row(name: str) -> Refund:
    return Refund(
        id=uuid4(),
        amount_vnd=20_000,
        destination_bank=MB,
        destination_account="0123456789",
        destination_name=name,
    )


@pytest.mark.parametrize("layout", sorted(list_layouts()))
def test_every_cell_of_a_file_is_a_text(layout: str) -> None:
    content = write_file(get_layout(layout), [a_row("=1+1")], now=NOON)

    with ZipFile(io.BytesIO(content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        texts = book.read("xl/sharedStrings.xml").decode()
    cells = sheet.count("<c ")
    assert cells == 2 * len(get_layout(layout).columns)
    assert sheet.count('t="s"') == cells
    assert "<f>" not in sheet
    assert "=1+1" in texts
    assert "20000" in texts
    assert "MB Bank" in texts
