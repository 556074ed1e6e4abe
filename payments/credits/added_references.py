"""Added references: what only a later report of a credit names, and what follows from it.

Providers report one transaction again once they know more, and of two providers one may cut the
memo. A reference that the first report did not have is a fact: a credit that the hub itself
explained without it is matched again. What a person said of it, or what it pays, stands, and a
break asks.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from core.reasons import Reason
from identity.organisations.rules import OrgFacts
from payments.bills.references import find_references
from payments.breaks import queries as break_queries
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.credits import queries_sightings
from payments.credits.rematching import rematch_with
from payments.credits.types import NewSighting
from payments.providers import find_provider
from payments.providers.errors import UnreadableNotice


async def follow_added(
    session: AsyncSession, org: OrgFacts, added: Sequence[NewSighting], *, now: datetime
) -> None:
    """Match credits again by the references that these sightings add; open a break where not.

    The caller holds the locks of the credits (queries_matches.lock_credits).
    """
    breaks: list[NewBreak] = []
    for one in added:
        references = one.differences["references"][1]
        if await rematch_with(session, org, one.credit_id, references, now=now):
            breaks += await _doubt_twin(session, org, one)
        else:
            breaks.append(
                NewBreak(
                    kind=BreakKind.CONTRADICTION,
                    subject_id=one.id,
                    credit_id=one.credit_id,
                    amount_vnd=one.amount_vnd,
                    reason=Reason(BreakReason.REFERENCES_ADDED, {"references": references}),
                )
            )
    if breaks:
        await break_queries.insert_breaks_once(session, org.id, breaks, now=now)


def names_more(provider: str, body: bytes, memo: str) -> bool:
    """Tell whether a message holds a reference that the stored memo of its transaction lacks."""
    adapter = find_provider(provider)
    assert adapter is not None
    try:
        rows = adapter.read(body).transactions
    except UnreadableNotice:
        return False
    known = {one.reference for one in find_references(memo)}
    return any(one.reference not in known for row in rows for one in find_references(row.memo))


async def _doubt_twin(session: AsyncSession, org: OrgFacts, one: NewSighting) -> list[NewBreak]:
    """Open a break about a credit that is perhaps the same as another, now that it is assigned."""
    subject_id = await queries_sightings.find_perhaps_same(session, org.id, one.credit_id)
    if subject_id is None:
        return []
    return [
        NewBreak(
            kind=BreakKind.POSSIBLE_DUPLICATE,
            subject_id=subject_id,
            credit_id=subject_id,
            amount_vnd=one.amount_vnd,
            reason=Reason(BreakReason.TWIN_NAMED_LATER),
        )
    ]
