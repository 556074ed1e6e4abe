"""Database errors: the refusal is named in errors and logs, the values given are not."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.world.constants import NOON
from tests.world.stalls import a_payable_stall

pytestmark = pytest.mark.anyio

MEMO, NUMBER = "tien nha cua Nguyen", "19037777777"
INSERT = text("""
    INSERT INTO bank_transactions (
        org_id, id, receiving_account_id, direction, bank_reference, provider,
        provider_transaction_id, notice_id, memo, amount_vnd, payer_account, is_date_only,
        occurred_at, received_at)
    VALUES (:org_id, :id, :account_id, 'in', 'FT1', 'sepay', '1', :id, :memo, :amount_vnd, :number,
        false, :now, :now)
""")


async def test_an_error_of_the_database_quotes_no_memo_and_no_account(
    app_database: Database,
) -> None:
    stall = await a_payable_stall(app_database)
    values = {
        "org_id": stall.org.id,
        "id": new_id(),
        "account_id": stall.account_id,
        "memo": MEMO,
        "amount_vnd": -5,
        "number": NUMBER,
        "now": NOON,
    }

    async with open_org_transaction(app_database, stall.org.id) as session:
        with pytest.raises(DBAPIError) as refused:
            await session.execute(INSERT, values)
        await session.rollback()

    said = f"{refused.value} {refused.value!r}"
    assert "amount_positive" in said
    assert MEMO not in said
    assert NUMBER not in said
