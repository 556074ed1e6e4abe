"""Evidence of a test transfer: who vouches for what told of it, and which bank it names."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from identity.organisations.rules import OrgFacts
from payments.providers import find_provider
from payments.vietqr.banks import find_bins, is_same_bank

# The key in force when a message came is what counts: a forged one may wait for its approval while
# somebody else sets another key.
FIND_TRANSFER_EVIDENCE = text("""
    SELECT CASE
               WHEN n.source = 'pulled' AND n.received_at >= e.pull_vouched_from
                   THEN e.pull_vouched_by
               WHEN n.source = 'callback' AND n.received_at >= e.key_vouched_from
                   THEN e.key_vouched_by
           END,
           ea.vouched_by, n.provider, n.body, c.provider_transaction_id, a.bin
    FROM bank_transactions c
    JOIN notices n ON n.org_id = c.org_id AND n.id = c.notice_id
    JOIN callback_endpoints e ON e.org_id = n.org_id AND e.id = n.endpoint_id
    JOIN receiving_accounts a ON a.org_id = c.org_id AND a.id = c.receiving_account_id
    JOIN callback_endpoint_accounts ea ON ea.org_id = e.org_id AND ea.endpoint_id = e.id
     AND ea.receiving_account_id = c.receiving_account_id
    WHERE c.org_id = :org_id AND c.id = :credit_id
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferEvidence:
    """What a stored credit shows as a test transfer, as note_test_transfer takes it."""

    # Everyone who answers for it; empty if for some part of it nobody does; None in a test
    # organisation, where nobody has to.
    vouched_by: frozenset[UUID] | None = frozenset()
    other_bank: str | None = None  # which bank the provider named, if it is not the account's


async def read_transfer_evidence(
    session: AsyncSession, org: OrgFacts, credit_id: UUID
) -> TransferEvidence:
    """Find who answers for a stored credit, and whether it came to the account's own bank."""
    if not org.is_live:
        return TransferEvidence(vouched_by=None)
    values = {"org_id": org.id, "credit_id": credit_id}
    row = (await session.execute(FIND_TRANSFER_EVIDENCE, values)).one_or_none()
    if row is None:
        return TransferEvidence()
    *answering, provider, body, transaction_id, bin_ = row
    return TransferEvidence(
        vouched_by=frozenset() if None in answering else frozenset(answering),
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
