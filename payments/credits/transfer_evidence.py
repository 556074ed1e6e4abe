"""Evidence of a test transfer: who vouches for its report, and which bank that names."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from identity.organisations.rules import OrgFacts
from payments.credits import queries_sightings
from payments.providers import find_provider
from payments.vietqr.banks import find_bins, is_same_bank


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferEvidence:
    """What a stored credit proves as a test transfer, as note_test_transfer takes it."""

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
    row = await queries_sightings.find_transfer_evidence(session, org.id, credit_id)
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
    for reported in adapter.read(body).transactions:
        if reported.provider_transaction_id == transaction_id:
            return reported.bank_names
    return ()


def _find_other_bank(names: Sequence[str], bin_: str) -> str | None:
    """Return the provider's name for the bank, unless a name is this bank's or none is known.

    The bank behind a brand is this bank too, and so is the brand (Timo, BVBank).
    """
    known = [(name, bins) for name in names if (bins := find_bins(name))]
    if not known or any(is_same_bank(bin_, named) for _, bins in known for named in bins):
        return None
    return known[0][0]
