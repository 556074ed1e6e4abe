"""Rules of blocks of references: how many, for how long, and which bill may still come. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from identity.devices.rules import QUEUE_KEPT_FOR
from payments.bills.references import make_reference, read_reference

BLOCK_SIZE: Final = 200  # codes that an attendant draws in a long evening without network
BLOCK_VALID_FOR: Final = timedelta(days=7)
BLOCKS_A_DAY_MAX: Final = 10  # of one phone in 24 hours: a stolen one wastes no more
# A bill comes with its phone's queue, which is kept so long: money without one waits as long.
SYNC_WITHIN: Final = QUEUE_KEPT_FOR
# What was drawn without network may be paid for a day from when its bill came here, as a vehicle
# that left on it owes nothing until then.
ISSUED_BILL_VALID_FOR: Final = timedelta(hours=24)
ISSUED_BILL_MONITORED_FOR: Final = timedelta(hours=72)


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockFacts:
    """A block, and when it ended or will end."""

    id: UUID
    device_id: UUID
    link_id: UUID
    payee_id: UUID
    receiving_account_id: UUID
    virtual_account: str | None
    code: str
    first_serial: int
    last_serial: int
    issued_at: datetime
    expires_at: datetime
    ends_at: datetime  # it expires, or its device was revoked before

    def list_references(self) -> list[str]:
        """Write its references out, in the order in which they are used."""
        serials = range(self.first_serial, self.last_serial + 1)
        return [make_reference(self.code, serial) for serial in serials]

    def may_bill_come(self, now: datetime) -> bool:
        """Whether a bill with one of its references counts, by the hub's clock alone."""
        return now < self.ends_at + SYNC_WITHIN


def locate(references: Collection[str]) -> dict[str, tuple[str, int]]:
    """Return (organisation code, serial) of each of these references."""
    found = ((text, read_reference(text)) for text in references)
    return {text: (one.org_code, one.serial) for text, one in found if one is not None}


def find_awaited(
    named: Collection[str],
    issued: Mapping[str, BlockFacts],
    *,
    account_id: UUID,
    now: datetime,
) -> str | None:
    """Return the one reference that a credit names whose bill may still come from its phone.

    None if the credit came by another account than the codes of that block name, or if it names
    two of them: a person decides.

    Args:
        named: the references of the credit, none of which has a bill.
        issued: of all references that were looked up, the blocks that they lie in.
    """
    awaited = [
        reference
        for reference in named
        if (block := issued.get(reference)) is not None
        and block.receiving_account_id == account_id
        and block.may_bill_come(now)
    ]
    return awaited[0] if len(awaited) == 1 else None
