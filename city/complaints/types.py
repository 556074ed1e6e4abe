"""A complaint as it is sent, before anything is stored."""

from dataclasses import dataclass
from uuid import UUID

from city.complaints.rules import Category, Subject


@dataclass(frozen=True, kw_only=True, slots=True)
class NewComplaint:
    """What somebody complains of."""

    id: UUID  # made by the form
    category: Category
    subject: Subject
    taken_vnd: int | None = None  # what was taken from them, as they say
    words: str | None = None
    contact: str | None = None
    photo: bytes | None = None  # SHA-256 of a picture that is kept
    language: str = "vi"
