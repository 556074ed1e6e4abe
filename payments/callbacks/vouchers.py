"""Who answers for what an endpoint says, so that a test transfer it tells of counts.

Whoever knows an endpoint's key can write any message of the provider, and whoever lists an account
says whose money its messages tell of. A manager could so make the test transfer of an account that
they proposed. Hence it counts in a live organisation only if persons who may approve accounts set
the key (or the token, for what was asked) and listed the account, and none of them proposed it.
Nor does it count if the provider names another bank: the account may be its namesake elsewhere.
See docs/adr/0005-who-answers-for-a-test-transfer.md.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from payments.callbacks.models import CallbackEndpoint, EndpointAccount
from payments.callbacks.providers import find_provider
from payments.payees.rules import OrgFacts, is_told_by_others
from payments.vietqr.banks import find_bins, is_same_bank

# The key in force when a message came is what counts: a forged one may wait for its approval while
# somebody else sets another key.
FIND_TESTIMONY = text("""
    SELECT CASE
               WHEN n.source = 'asked' AND n.received_at >= e.ask_vouched_from
                   THEN e.ask_vouched_by
               WHEN n.source = 'callback' AND n.received_at >= e.key_vouched_from
                   THEN e.key_vouched_by
           END,
           ea.vouched_by, n.provider, n.body, c.provider_transaction_id, a.bin
    FROM credits c
    JOIN notices n ON n.org_id = c.org_id AND n.id = c.notice_id
    JOIN callback_endpoints e ON e.org_id = n.org_id AND e.id = n.endpoint_id
    JOIN receiving_accounts a ON a.org_id = c.org_id AND a.id = c.receiving_account_id
    JOIN endpoint_accounts ea ON ea.org_id = e.org_id AND ea.endpoint_id = e.id
     AND ea.receiving_account_id = c.receiving_account_id
    WHERE c.org_id = :org_id AND c.id = :credit_id
""")


# All of them, so that what is being set or listed at this moment is seen too.
LOCK_ENDPOINTS = text("""
    SELECT id FROM callback_endpoints WHERE org_id = :org_id ORDER BY id FOR NO KEY UPDATE
""")
TAKE_BACK_KEYS = text("""
    UPDATE callback_endpoints SET
        key_vouched_from = CASE WHEN key_vouched_by = :person_id THEN NULL
                                ELSE key_vouched_from END,
        key_vouched_by = NULLIF(key_vouched_by, :person_id),
        ask_vouched_from = CASE WHEN ask_vouched_by = :person_id THEN NULL
                                ELSE ask_vouched_from END,
        ask_vouched_by = NULLIF(ask_vouched_by, :person_id)
    WHERE org_id = :org_id AND :person_id IN (key_vouched_by, ask_vouched_by)
    RETURNING id
""")
TAKE_BACK_LISTINGS = text("""
    UPDATE endpoint_accounts SET vouched_by = NULL
    WHERE org_id = :org_id AND vouched_by = :person_id
    RETURNING endpoint_id
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Testimony:
    """What a stored credit shows as a test transfer, as note_test_transfer takes it."""

    # Everyone who answers for it; empty if for some part of it nobody does; None in a test
    # organisation, where nobody has to.
    vouchers: frozenset[UUID] | None = frozenset()
    other_bank: str | None = None  # which bank the provider named, if it is not the account's


async def read_testimony(session: AsyncSession, org: OrgFacts, credit_id: UUID) -> Testimony:
    """Find who answers for a stored credit, and whether it came to the account's own bank."""
    if not org.is_live:
        return Testimony(vouchers=None)
    values = {"org_id": org.id, "credit_id": credit_id}
    row = (await session.execute(FIND_TESTIMONY, values)).one_or_none()
    if row is None:
        return Testimony()
    *answering, provider, body, transaction_id, bin_ = row
    return Testimony(
        vouchers=frozenset() if None in answering else frozenset(answering),
        other_bank=_find_other_bank(_list_bank_names(provider, body, transaction_id), bin_),
    )


def _list_bank_names(provider: str, body: bytes, transaction_id: str) -> Sequence[str]:
    adapter = find_provider(provider)
    assert adapter is not None
    for told in adapter.read(body).transactions:
        if told.provider_transaction_id == transaction_id:
            return told.bank_names
    return ()


def _find_other_bank(names: Sequence[str], bin_: str) -> str | None:
    """Return how the provider calls the bank, unless a name is this bank's or none is known.

    The bank behind a brand is this bank too, and so is the brand (Timo, BVBank).
    """
    known = [(name, bins) for name in names if (bins := find_bins(name))]
    if not known or any(is_same_bank(bin_, named) for _, bins in known for named in bins):
        return None
    return known[0][0]


class Hearing(StrEnum):
    """Whether a test transfer of an account would count now."""

    NOBODY = "nobody"  # no endpoint is listed for the account
    UNVOUCHED = "unvouched"  # nobody answers for one who may
    SOON = "soon"  # an old key holds still
    READY = "ready"


async def read_hearing(
    session: AsyncSession,
    org: OrgFacts,
    account_id: UUID,
    *,
    proposers: Collection[UUID],
    now: datetime,
) -> tuple[Hearing, datetime | None]:
    """Tell whether a callback about a test transfer would count, and from when on if soon."""
    query = (
        select(CallbackEndpoint, EndpointAccount.vouched_by)
        .join(
            EndpointAccount,
            (EndpointAccount.org_id == CallbackEndpoint.org_id)
            & (EndpointAccount.endpoint_id == CallbackEndpoint.id),
        )
        .where(
            CallbackEndpoint.org_id == org.id,
            EndpointAccount.receiving_account_id == account_id,
            CallbackEndpoint.revoked_at.is_(None),
        )
    )
    found = (await session.execute(query)).all()
    if not found:
        return Hearing.NOBODY, None
    if not org.is_live:
        return Hearing.READY, None
    starts = [
        endpoint.key_vouched_from
        for endpoint, listed_by in found
        if endpoint.key_vouched_from is not None
        and endpoint.key_vouched_by is not None
        and listed_by is not None
        and is_told_by_others({endpoint.key_vouched_by, listed_by}, proposers)
    ]
    if not starts:
        return Hearing.UNVOUCHED, None
    start = min(starts)
    return (Hearing.SOON, start) if start > now else (Hearing.READY, None)


async def take_back_words(
    session: AsyncSession,
    org_id: UUID,
    person_id: UUID,
    *,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> None:
    """Let a person who may approve accounts no more answer for no endpoint either.

    Accounts in force stay so. Should the person get the right again, they say it all anew.
    """
    values = {"org_id": org_id, "person_id": person_id}
    await session.execute(LOCK_ENDPOINTS, {"org_id": org_id})
    touched = {*await session.scalars(TAKE_BACK_KEYS, values)}
    touched |= {*await session.scalars(TAKE_BACK_LISTINGS, values)}
    for endpoint_id in sorted(touched):
        record_change(
            session,
            org_id=org_id,
            actor=actor,
            action="endpoint.word_taken_back",
            object_kind="endpoint",
            object_id=endpoint_id,
            before={"is_vouched": True},
            after={"is_vouched": False, "staff_id": str(person_id)},
            reason=reason,
            now=now,
        )
    await session.flush()
