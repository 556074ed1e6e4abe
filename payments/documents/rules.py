"""Kinds of numbered documents, and how their numbers are written. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from core.clock import HANOI


class DocumentKind(StrEnum):
    """What is numbered without gaps."""

    CASH_RECEIPT = "cash_receipt"  # "phiếu thu"
    SETTLEMENT = "settlement"  # "bảng kê quyết toán"


# What a kind is called on its documents: PT, "phiếu thu"; QT, "quyết toán".
LETTERS: Final = {DocumentKind.CASH_RECEIPT: "PT", DocumentKind.SETTLEMENT: "QT"}


@dataclass(frozen=True, kw_only=True, slots=True)
class NewDocument:
    """A document that is to get the next number of its series."""

    kind: DocumentKind
    scope_id: UUID  # what the series is of: a lot, a payee
    subject_kind: str
    subject_id: UUID
    content: dict[str, Any]  # what it says, for good


def year_of(instant: datetime) -> int:
    """Return the year in Hà Nội whose series numbers a document of this instant."""
    return instant.astimezone(HANOI).year


def write_prefix(kind: DocumentKind, year: int, place: int) -> str:
    """Return what stands before the numbers of a series, "PT26-03".

    Args:
        place: 1, 2, … among the organisation's series of this kind and year.
    """
    return f"{LETTERS[kind]}{year % 100:02}-{place:02}"


def write_number(prefix: str, number: int) -> str:
    """Return a document's number as people read it, "PT26-03-000017"."""
    return f"{prefix}-{number:06}"
