"""The hash of a closed day: SHA-256 over all that stands in it, chained to the day before.

Canonical, so that anybody can compute it again: each field is its length (four bytes, the highest
first; all ones for NULL) and its bytes. A UUID is its 16 bytes, text is UTF-8, a whole number is
written in decimal digits, a date as 2026-11-20, an instant as the microseconds since 1970 in UTC.
Each section is its name, its rows' fields, and the count of its rows. Version 2 has more sections
behind the checkpoints: what a package above adds to a close (payments/closing).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from payments.ledger.types import Section

PLAIN_VERSION: Final = 1  # of a day that was closed without accounts
VERSION: Final = 2
# Every column of a posting but the organisation, which the head names.
POSTING_FIELDS: Final = (
    "id",
    "debit_code",
    "debit_subject_id",
    "credit_code",
    "credit_subject_id",
    "amount_vnd",
    "cause_kind",
    "cause_id",
    "step",
    "effective_at",
    "posted_at",
    "day",
    "item_id",
)
CHECKPOINT_FIELDS: Final = ("code", "subject_id", "balance_vnd", "postings")

_NULL: Final = b"\xff\xff\xff\xff"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_WRITERS: Final[dict[type, Callable[[Any], bytes]]] = {
    UUID: lambda one: one.bytes,
    str: str.encode,
    int: lambda one: b"%d" % one,
    bytes: lambda one: one,
    datetime: lambda one: b"%d" % ((one - _EPOCH) // _MICROSECOND),
    date: lambda one: one.isoformat().encode(),
}


class DayHash:
    """The hash of one day, fed in the order of the methods below."""

    def __init__(
        self,
        org_id: UUID,
        day: date,
        *,
        previous_day: date | None,
        previous_hash: bytes | None,
        postings_before: int,
        version: int = PLAIN_VERSION,
    ) -> None:
        self._hash = sha256()
        self._count = 0
        self._feed(("ledger day", version, org_id, day, previous_day, previous_hash))
        self._feed((postings_before, "postings"))

    def add_postings(self, rows: Iterable[Sequence[Any]]) -> None:
        """Feed postings, each as POSTING_FIELDS, by day and id."""
        for row in rows:
            self._feed(row)
            self._count += 1

    def finish(
        self,
        checkpoints: Sequence[Sequence[Any]],
        *,
        sections: Sequence[Section] = (),
        closed_at: datetime,
        closed_by: UUID | None,
    ) -> bytes:
        """Return the 32 bytes.

        Args:
            checkpoints: those of the day, each as CHECKPOINT_FIELDS, by code and subject.
            sections: what else stands in the day; none in version 1.
        """
        done = self._hash.copy()
        fields: list[Any] = [self._count, "checkpoints"]
        for row in checkpoints:
            fields += row
        fields.append(len(checkpoints))
        for section in sections:
            fields.append(section.name)
            for row in section.rows:
                fields += row
            fields.append(len(section.rows))
        fields += ["closed", closed_at, closed_by]
        done.update(_write(fields))
        return done.digest()

    def _feed(self, fields: Sequence[Any]) -> None:
        self._hash.update(_write(fields))


def _write(fields: Iterable[Any]) -> bytes:
    parts = []
    for field in fields:
        if field is None:
            parts.append(_NULL)
            continue
        written = _WRITERS[type(field)](field)
        parts += (len(written).to_bytes(4, "big"), written)
    return b"".join(parts)
