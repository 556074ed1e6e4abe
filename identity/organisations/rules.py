"""Kinds of organisation, and the facts that every use case needs of the one it runs in. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

# The letters of references (no 0 O 1 I L U), since a code stands in each of its bills'.
ORG_CODE_PATTERN: Final = "[2-9A-HJKMNP-TV-Z]{4}"
ORG_CODE: Final = re.compile(ORG_CODE_PATTERN)


class OrgKind(StrEnum):
    """What sort of tenant this is; words on screens, no rule depends on it."""

    CITY = "city"
    MARKET_BOARD = "market_board"
    PARKING_OPERATOR = "parking_operator"
    OFFICE = "office"
    BUSINESS = "business"


@dataclass(frozen=True, kw_only=True, slots=True)
class OrgFacts:
    """What every use case needs of the organisation it runs in."""

    id: UUID
    code: str
    name: str
    is_live: bool
