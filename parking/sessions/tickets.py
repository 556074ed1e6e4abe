"""Codes of tickets: a parking session's id and its random key, as the QR on a ticket has them.

The id finds the row (sessions are partitioned by it), the key opens it. Pure.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple
from uuid import UUID

TICKET_PATH: Final = "/t/"  # docs/screens.md: the driver's page
CODE: Final = re.compile(r"([2-9A-HJKMNP-TV-Z]{4})-([A-Za-z0-9_-]{43})")


class TicketCode(NamedTuple):
    """What a ticket's code names."""

    org_code: str
    session_id: UUID
    key: UUID  # 122 random bits and more


def write_ticket_code(org_code: str, session_id: UUID, key: UUID) -> str:
    """Return "HKXM-…", 48 characters; `TICKET_PATH` before it is the driver's page."""
    both = urlsafe_b64encode(session_id.bytes + key.bytes).decode().rstrip("=")
    return f"{org_code}-{both}"


def read_ticket_code(text: str) -> TicketCode | None:
    """Return what a code names, or None where it is none of ours."""
    parts = CODE.fullmatch(text)
    if parts is None:
        return None
    raw = urlsafe_b64decode(f"{parts[2]}=")
    code = TicketCode(parts[1], UUID(bytes=raw[:16]), UUID(bytes=raw[16:]))
    return code if write_ticket_code(*code) == text else None  # base64 has several spellings
