"""Credits that wait for a phone without network: listed, and matched once its bill is here."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.tenancy import open_org_transaction
from identity.organisations.queries import list_org_facts
from payments.bills.blocks_rules import locate
from payments.bills.queries_blocks import find_issued
from payments.credits.queries_matches import find_named, list_awaiting
from payments.credits.rematching import rematch

log = structlog.get_logger()

LISTED_MAX: Final = 500
NAMED_MAX: Final = 20  # credits on one reference that are matched at once; the job has the rest


@dataclass(frozen=True, kw_only=True, slots=True)
class AwaitingCredit:
    """Money on a reference whose phone has not sent its bill yet."""

    credit_id: UUID
    reference: str
    device_id: UUID
    amount_vnd: int
    received_at: datetime


async def list_awaiting_credits(session: AsyncSession, org_id: UUID) -> list[AwaitingCredit]:
    """List what waits for phones, the oldest first, with the device of each."""
    rows = await list_awaiting(session, org_id, limit=LISTED_MAX)
    if not rows:
        return []
    issued = await find_issued(session, org_id, locate([row[1] for row in rows]))
    return [
        AwaitingCredit(
            credit_id=credit_id,
            reference=reference,
            device_id=issued[reference].device_id,
            amount_vnd=amount_vnd,
            received_at=received_at,
        )
        for credit_id, reference, amount_vnd, received_at in rows
        if reference in issued
    ]


async def match_named(
    database: Database, org_id: UUID, reference: str, *, read_clock: Callable[[], datetime]
) -> int:
    """Match what came before its bill did; return how many credits. After the bill's commit.

    Each in a transaction of its own: the credit is locked before its bills, as everywhere.
    """
    async with open_org_transaction(database, org_id) as session:
        credit_ids = await find_named(session, org_id, reference, limit=NAMED_MAX)
        orgs = await list_org_facts(session, [org_id]) if credit_ids else []
    matched = 0
    for credit_id in credit_ids:
        async with open_org_transaction(database, org_id) as session:
            matched += await rematch(session, orgs[0], credit_id, now=read_clock())
    if matched:
        log.info("credits.matched_after_sync", reference=reference, credits=matched)
    return matched
