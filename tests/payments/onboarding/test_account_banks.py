"""The domain looks banks up itself, whoever proposes an account and whatever they checked."""

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.payees.accounts import propose_account
from payments.payees.errors import BadAccount
from payments.vietqr.banks import find_bank
from tests.world.constants import MANAGER, NOON, VCB
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio

# Unknown, empty, too short, too long, a name, and digits of another script.
NO_BANKS = ("999999", "000000", "", "97043", "9704366", "VCB", "９７０４３６")


async def propose_at(database: Database, stall: PayableStall, bin_: str) -> None:
    """Propose an account at a bank, by the use case itself, as a program of the hub's could."""
    async with open_org_transaction(database, stall.org.id) as session:
        await propose_account(
            session,
            stall.org.id,
            payee_id=stall.payee_id,
            bin_=bin_,
            account_number="0912345678",
            virtual_account=None,
            holder_name="NGUYEN THI LAN",
            test_reference=make_reference(stall.org.code, 4_321),
            actor=MANAGER,
            now=NOON,
        )


async def count_links(database: Database, stall: PayableStall) -> int:
    async with open_org_transaction(database, stall.org.id) as session:
        return int(await session.scalar(text("SELECT count(*) FROM payee_accounts")) or 0)


@pytest.mark.parametrize(
    "bin_", ["999999", "000000", "", "97043", "9704366", "VCB", "９７０４３６"]
)
async def test_an_account_at_no_bank_of_the_list_is_refused_by_the_use_case(
    app_database: Database, stall: PayableStall, bin_: str
) -> None:
    assert find_bank(bin_) is None
    before = await count_links(app_database, stall)

    with pytest.raises(BadAccount) as refused:
        await propose_at(app_database, stall, bin_)

    assert [(one.field, one.code) for one in refused.value.violations] == [("bin", "unknown_bank")]
    assert await count_links(app_database, stall) == before


async def test_an_account_at_a_bank_of_the_list_is_proposed(
    app_database: Database, stall: PayableStall
) -> None:
    before = await count_links(app_database, stall)

    await propose_at(app_database, stall, VCB)

    assert await count_links(app_database, stall) == before + 1
