"""Reads of what an organisation has: bills, ledger, breaks, events, notices, rows."""

from uuid import UUID

from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts
from payments.credits.views import get_credit
from payments.ledger import service as ledger
from payments.ledger.rules import bank_clearing, not_takings, takings, unapplied
from tests.world.stalls import PayableStall


async def read_status(
    database: Database, stall: PayableStall, bill: BillFacts
) -> tuple[str, int, int]:
    """Return (stored status, paid_vnd, received_vnd)."""
    async with open_org_transaction(database, stall.org.id) as session:
        row = (
            await session.execute(
                text(
                    "SELECT status, paid_vnd, received_vnd FROM bills"
                    " WHERE org_id = :org_id AND id = :id"
                ),
                {"org_id": stall.org.id, "id": bill.id},
            )
        ).one()
    return row[0], row[1], row[2]


async def read_ledger(database: Database, stall: PayableStall) -> dict[str, int]:
    """Return the balances that money in touches: clearing is negative by what was told."""
    async with open_org_transaction(database, stall.org.id) as session:
        keys = {
            "clearing": bank_clearing(stall.account_id),
            "takings": takings(stall.payee_id),
            "unapplied": unapplied(stall.account_id),
            "not_takings": not_takings(stall.payee_id),
        }
        return {
            name: await ledger.read_balance(session, stall.org.id, key)
            for name, key in keys.items()
        }


async def list_breaks(database: Database, stall: PayableStall) -> list[str]:
    """Return the kinds of open breaks, sorted."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT kind FROM breaks WHERE org_id = :org_id AND closed_at IS NULL")
        return sorted((await session.execute(query, {"org_id": stall.org.id})).scalars())


async def list_events(database: Database, stall: PayableStall) -> list[str]:
    """Return the kinds of events in the order they were written."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT kind FROM events WHERE org_id = :org_id ORDER BY id")
        return list((await session.execute(query, {"org_id": stall.org.id})).scalars())


async def list_outcomes(database: Database, stall: PayableStall) -> list[str]:
    """Return how the organisation's notices ended, sorted."""
    async with open_org_transaction(database, stall.org.id) as session:
        rows = await session.execute(text("SELECT coalesce(outcome, 'waits') FROM notices"))
        return sorted(rows.scalars())


async def count_rows(
    database: Database, stall: PayableStall, table: str, where: str = "true"
) -> int:
    """Count an organisation's rows."""
    async with open_org_transaction(database, stall.org.id) as session:
        query = text(f"SELECT count(*) FROM {table} WHERE {where}")
        return int((await session.execute(query)).scalar_one())


async def find_match(database: Database, stall: PayableStall, credit_id: UUID) -> UUID:
    """Return the match in force, as whoever looks at a payment sees it."""
    async with open_org_transaction(database, stall.org.id) as session:
        return (await get_credit(session, stall.org.id, credit_id)).match_id


async def find_credit(database: Database, stall: PayableStall) -> UUID:
    """Return the one credit of an organisation."""
    async with open_org_transaction(database, stall.org.id) as session:
        return UUID(
            str((await session.execute(text("SELECT id FROM bank_transactions"))).scalar_one())
        )
