"""The right number at the wrong bank: a true report of a namesake is no test of the account.

Whoever opens an account of the same number elsewhere could propose that one, and pay the real one.
"""

import json

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.payees.models import PayeeAccount
from payments.providers.casso.pull import _to_webhook
from payments.providers.casso.webhook import Casso
from tests.world.account_changes import (
    IN_FORCE,
    NEW_NUMBER,
    TEST_MEMO,
    WAITS,
    approve,
    propose,
    read_states,
)
from tests.world.constants import APPROVER, MB, NOON, VCB
from tests.world.endpoints import an_endpoint
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.reads import count_rows, list_breaks
from tests.world.serials import next_number
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BVBANK, TIMO = "970454", "963388"
VPBANK, CAKE = "970432", "546034"


async def connect_account(
    database: Database, stall: PayableStall, *, bin_: str = VCB, provider: str = "sepay"
) -> tuple[PayeeAccount, PayableStall]:
    """Propose, approve and list an account whose endpoint the approver answers for."""
    link = await propose(database, stall, bin_=bin_)
    await approve(database, stall, link)
    async with open_org_transaction(database, stall.org.id) as session:
        endpoint_id = await an_endpoint(
            session, stall.org, [link.receiving_account_id], provider=provider
        )
    heard = PayableStall(
        org=stall.org,
        payee_id=stall.payee_id,
        account_id=link.receiving_account_id,
        account_number=NEW_NUMBER,
        endpoint_id=endpoint_id,
        provider=provider,
    )
    return link, heard


async def tell(database: Database, heard: PayableStall, *, gateway: object) -> None:
    await store_notices(
        database, heard, sepay_body(heard, amount_vnd=1_000, memo=TEST_MEMO, gateway=gateway)
    )
    await process_waiting(database, heard)


def casso_body(*, bank: str | None, abbreviation: str | None) -> bytes:
    number = next_number()
    data = {
        "id": number,
        "reference": f"FT26324{number:06d}",
        "description": TEST_MEMO,
        "amount": 1_000,
        "runningBalance": 1_000,
        "transactionDateTime": "2026-11-20 12:00:00",
        "accountNumber": NEW_NUMBER,
        "bankName": bank,
        "bankAbbreviation": abbreviation,
    }
    return json.dumps({"error": 0, "data": data}).encode()


async def read_refusal(database: Database, stall: PayableStall, link: PayeeAccount) -> PayeeAccount:
    async with open_org_transaction(database, stall.org.id) as session:
        found = await session.get(PayeeAccount, (stall.org.id, link.id))
    assert found is not None
    return found


async def test_a_transfer_to_the_same_number_at_another_bank_is_no_test(
    app_database: Database, stall: PayableStall
) -> None:
    link, heard = await connect_account(app_database, stall, bin_=MB)

    await tell(app_database, heard, gateway="Vietcombank")

    assert await read_states(app_database, stall, link) == WAITS
    noted = await read_refusal(app_database, stall, link)
    assert (noted.test_refused_at, noted.test_refused_bank) == (NOON, "Vietcombank")
    # The money is known and kept, and the log says which bank was named.
    assert (
        await count_rows(app_database, stall, "audit_log", "action = 'account.test_refused'") == 1
    )
    named = "after ->> 'named_bank' = 'Vietcombank'"
    assert await count_rows(app_database, stall, "audit_log", named) == 1
    tests = "verdict = 'account_test'"
    assert await count_rows(app_database, stall, "matches", tests) == 1
    assert await list_breaks(app_database, stall) == []


async def test_the_next_transfer_to_the_right_bank_counts(
    app_database: Database, stall: PayableStall
) -> None:
    link, heard = await connect_account(app_database, stall, bin_=MB)
    await tell(app_database, heard, gateway="Vietcombank")

    await tell(app_database, heard, gateway="MBBank")

    assert await read_states(app_database, stall, link) == IN_FORCE


@pytest.mark.parametrize(
    "gateway",
    ["MB Bank", "mbbank", "MB", "Ngân hàng TMCP Quân đội", "Bank of the Moon", "", None, 7],
)
async def test_any_name_of_the_bank_will_do_and_an_unknown_one_blocks_nobody(
    app_database: Database, stall: PayableStall, gateway: object
) -> None:
    link, heard = await connect_account(app_database, stall, bin_=MB)

    await tell(app_database, heard, gateway=gateway)

    assert await read_states(app_database, stall, link) == IN_FORCE


@pytest.mark.parametrize(
    ("bin_", "gateway", "states"),
    [
        (TIMO, "BVBank", IN_FORCE),
        (TIMO, "Ngân hàng TMCP Bản Việt", IN_FORCE),
        (BVBANK, "Timo", IN_FORCE),
        (CAKE, "VPBank", IN_FORCE),
        (VPBANK, "Ubank by VPBank", IN_FORCE),
        (CAKE, "Ubank by VPBank", WAITS),
        (TIMO, "VPBank", WAITS),
    ],
)
async def test_the_brand_of_a_bank_may_be_called_by_the_banks_name_and_the_reverse(
    app_database: Database, stall: PayableStall, bin_: str, gateway: str, states: tuple[str, str]
) -> None:
    link, heard = await connect_account(app_database, stall, bin_=bin_)

    await tell(app_database, heard, gateway=gateway)

    assert await read_states(app_database, stall, link) == states


@pytest.mark.parametrize(
    ("bank", "abbreviation", "states"),
    [
        ("Vietcombank", "VCB", WAITS),
        ("Ngân hàng thương mại", "VCB", WAITS),
        ("MBBank", "MBB", IN_FORCE),
        (None, None, IN_FORCE),
    ],
)
async def test_casso_names_the_bank_too(
    app_database: Database,
    stall: PayableStall,
    bank: str | None,
    abbreviation: str | None,
    states: tuple[str, str],
) -> None:
    link, heard = await connect_account(app_database, stall, bin_=MB, provider="casso")

    await store_notices(app_database, heard, casso_body(bank=bank, abbreviation=abbreviation))
    await process_waiting(app_database, heard)

    assert await read_states(app_database, stall, link) == states


async def test_what_casso_answers_keeps_the_bank_that_it_names() -> None:
    row = {
        "id": 7,
        "tid": "FT7",
        "description": TEST_MEMO,
        "amount": 1_000,
        "when": "2026-11-20 12:00:00",
        "bankSubAccId": NEW_NUMBER,
    }
    for told, names in (
        ({"bankName": "MBBank", "bankAbbreviation": "MBB"}, ("MBBank", "MBB")),
        ({}, ()),
    ):
        (transaction,) = Casso().read(_to_webhook(row | told)).transactions
        assert transaction.bank_names == names


async def test_what_was_pulled_for_names_the_bank_like_what_was_called_in(
    app_database: Database, stall: PayableStall
) -> None:
    link, heard = await connect_account(app_database, stall, bin_=MB)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await session.execute(
            text("UPDATE callback_endpoints SET pull_vouched_by = :id, pull_vouched_from = :at"),
            {"id": APPROVER.id, "at": NOON},
        )
    for gateway, states in (("Vietcombank", WAITS), ("MBBank", IN_FORCE)):
        body = sepay_body(heard, amount_vnd=1_000, memo=TEST_MEMO, gateway=gateway)
        await store_notices(app_database, heard, body, source="pulled")
        await process_waiting(app_database, heard)

        assert await read_states(app_database, stall, link) == states
