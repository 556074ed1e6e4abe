"""Polls about outages, and regular ones: written down for each organisation's accounts."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, record_change
from payments.outages import queries
from payments.outages.queries import OutageSpan
from payments.outages.rules import MARGIN_AFTER, MARGIN_BEFORE
from payments.outages.views import read_outage
from payments.polling.queries import insert_regular_windows, insert_turns, insert_windows
from payments.polling.rules import REPLAYED_FOR
from payments.providers import PROVIDERS, list_pullable
from payments.providers.types import PulledBy

REPLAYS_SPREAD: Final = timedelta(seconds=60)  # after a restart not all accounts at once
FIRST_BACK: Final = timedelta(hours=1)  # what the first regular poll of an account looks back

log = structlog.get_logger()


async def plan_replays(session: AsyncSession, org_id: UUID, outages: Collection[OutageSpan]) -> int:
    """Write down what an organisation's accounts are polled for about outages. Idempotent.

    Returns:
        How many windows were written.
    """
    providers = list_pullable()
    await insert_turns(session, org_id, providers)
    count = 0
    for outage in outages:
        count += await insert_windows(
            session,
            org_id,
            outage_id=outage.id,
            providers=providers,
            from_at=outage.from_at - MARGIN_BEFORE,
            until_at=outage.until_at + MARGIN_AFTER,
            spread=REPLAYS_SPREAD,
        )
    return count


async def plan_regular(session: AsyncSession, org_id: UUID, *, every_s: int) -> int:
    """Write down that an organisation's accounts are polled by the clock. Idempotent.

    A provider that lists no account's transactions is polled about outages alone: an order is
    looked up when it ends (payments.rails).

    Args:
        every_s: the installation's interval; the first polls are spread over it.
    """
    providers = [
        name
        for name in list_pullable()
        if PROVIDERS[name].capabilities.pulled_by is PulledBy.ACCOUNT
    ]
    return await insert_regular_windows(
        session,
        org_id,
        providers=providers,
        first_back=FIRST_BACK,
        back_max=REPLAYED_FOR,
        spread=timedelta(seconds=every_s),
    )


async def report(
    session: AsyncSession, org_id: UUID, outage_id: UUID, *, org_code: str, now: datetime
) -> bool:
    """Record that an organisation's outage is caught up with; True means that this call did."""
    if not await queries.insert_report_once(session, org_id, outage_id):
        return False
    found = await read_outage(session, org_id, outage_id)
    if found is None:  # from before the organisation was made
        return True
    facts = {
        "missed": found.missed,
        "recovered": found.recovered,
        "oldest_age_s": found.oldest_age_s,
        "accounts_polled": found.accounts_polled,
        "accounts_waiting_for_statement": len(found.waiting_for_statement),
    }
    record_change(
        session,
        org_id=org_id,
        actor=SYSTEM,
        action="outage.caught_up",
        object_kind="outage",
        object_id=outage_id,
        after=facts,
        now=now,
    )
    log.info("outage.caught_up", org=org_code, outage=str(outage_id), **facts)
    return True
