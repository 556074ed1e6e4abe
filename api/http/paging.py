"""Lists in pages: newest first, with an opaque cursor that stays right while rows are added."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from typing import Annotated, Final, Protocol
from uuid import UUID

from fastapi import Query

from core.paging import BadCursor

LIMIT_MAX: Final = 100

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Most items of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=40, description="`next_cursor` of the page before, unchanged.")
]


class HasId(Protocol):
    """Anything that a cursor can stand on."""

    @property
    def id(self) -> UUID:
        """Its id; lists are in the order of ids."""


def write_cursor(last_id: UUID) -> str:
    """Write where a page ended."""
    return urlsafe_b64encode(last_id.bytes).rstrip(b"=").decode()


def read_cursor(cursor: str | None) -> UUID | None:
    """Read where the next page begins: below this id; None is the first page.

    Raises:
        BadCursor: no list of ours wrote it.
    """
    if cursor is None:
        return None
    try:
        last_id = UUID(bytes=urlsafe_b64decode(f"{cursor}=="))
    except (NotBase64, ValueError) as error:
        raise BadCursor from error
    if write_cursor(last_id) != cursor:
        raise BadCursor
    return last_id


def next_cursor(rows: Sequence[HasId], limit: int) -> str | None:
    """Return the cursor of the next page of rows that were read with limit + 1."""
    return write_cursor(rows[limit - 1].id) if len(rows) > limit else None
