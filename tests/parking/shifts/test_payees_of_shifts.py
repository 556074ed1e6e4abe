"""A lot's payee may change: the books of a shift stay with the payee that it was opened for."""

from datetime import timedelta
from uuid import UUID

import pytest

from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from parking.collections.rules import CollectionRail
from parking.exits.paying import Taken, collect
from parking.places.service import change_lot
from parking.shifts.deposits import DepositWanted, open_deposit
from parking.shifts.late import post_late_cash
from parking.shifts.rules import ShiftFacts
from parking.shifts.service import close_shift
from payments.bills.references import make_reference
from payments.ledger import service as ledger
from payments.ledger.rules import cash_variance, takings
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_stay, cash
from tests.world.payees import a_payee, an_account
from tests.world.serials import next_serial

pytestmark = pytest.mark.anyio


async def change_payee(database: Database, gate: Gate) -> UUID:
    """Let the lot be another payee's from now on."""
    async with open_org_transaction(database, gate.org_id) as session:
        payee_id = await a_payee(session, gate.lot.org)
        await an_account(session, gate.lot.org, payee_id)
        await change_lot(
            session, gate.org_id, gate.lot.id, {"payee_id": payee_id}, actor=MANAGER, now=NOON
        )
    return payee_id


async def take(database: Database, gate: Gate, taken: Taken) -> None:
    stay_id = await a_stay(database, gate)
    async with open_org_transaction(database, gate.org_id) as session:
        await collect(
            session, gate.org_id, stay_id, taken, priced_at=NOON, actor=gate.attendant, now=NOON
        )


async def close(database: Database, gate: Gate, counted_vnd: int) -> ShiftFacts:
    async with open_org_transaction(database, gate.org_id) as session:
        return await close_shift(
            session,
            gate.org_id,
            gate.shift_id,
            counted_vnd=counted_vnd,
            note=None,
            actor=gate.attendant,
            now=NOON,
        )


async def balances(database: Database, gate: Gate, payee_id: UUID) -> tuple[int, int]:
    """Takings and variance (a debit) of a payee."""
    async with open_org_transaction(database, gate.org_id) as session:
        taken = await ledger.read_balance(session, gate.org_id, takings(payee_id))
        variance = await ledger.read_balance(session, gate.org_id, cash_variance(payee_id))
    return taken, -variance


@pytest.mark.parametrize("short_vnd", [0, 1_000, -1_000])
async def test_a_shift_closes_for_the_payee_that_it_was_opened_for(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase, short_vnd: int
) -> None:
    await take(app_database, gate, cash(PER_VISIT_VND))
    newcomer_id = await change_payee(app_database, gate)
    await take(app_database, gate, cash(PER_VISIT_VND))

    await close(app_database, gate, 2 * PER_VISIT_VND - short_vnd)

    expected = (2 * PER_VISIT_VND, short_vnd)
    assert await balances(app_database, gate, gate.lot.payee_id) == expected
    assert await balances(app_database, gate, newcomer_id) == (0, 0)
    assert find_violations(fresh_database.owner_url) == []


async def test_the_books_of_a_closed_shift_stay_true_when_the_payee_changes(
    app_database: Database, gate: Gate, fresh_database: FreshDatabase
) -> None:
    await take(app_database, gate, cash(PER_VISIT_VND))
    await close(app_database, gate, PER_VISIT_VND - 1_000)

    await change_payee(app_database, gate)

    assert find_violations(fresh_database.owner_url) == []


async def test_late_cash_is_of_the_payee_of_its_shift(app_database: Database, gate: Gate) -> None:
    shift = await close(app_database, gate, PER_VISIT_VND)
    await change_payee(app_database, gate)

    async with open_org_transaction(app_database, gate.org_id) as session:
        await post_late_cash(session, gate.org_id, shift, new_id(), PER_VISIT_VND, now=NOON)

    assert await balances(app_database, gate, gate.lot.payee_id) == (PER_VISIT_VND, 0)


async def test_a_deposit_goes_to_the_payee_of_its_shift(app_database: Database, gate: Gate) -> None:
    on_behalf = Taken(id=new_id(), rail=CollectionRail.FLOAT, amount_vnd=PER_VISIT_VND)
    await take(app_database, gate, on_behalf)
    await change_payee(app_database, gate)

    async with open_org_transaction(app_database, gate.org_id) as session:
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

    assert bill.payee_id == gate.lot.payee_id
