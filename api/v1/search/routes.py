"""One search over bills, credits, lines of banks, parking sessions and refunds."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from api.http.deps import TheDatabase, TheLimits, requires
from api.http.errors import may_answer
from api.http.fields import Read
from city.search.rules import NEEDS, QUERY_CHARS_MAX, FoundKind, read_query
from city.search.views import search
from core.errors import TooManyRequests
from identity.people.callers import Caller
from identity.people.rules import Permission

router = APIRouter(prefix="/v1/search", tags=["search"])

Reader = Annotated[Caller, requires(Permission.LEDGER_READ)]


class FoundRead(Read):
    """One thing that was found."""

    kind: FoundKind
    id: UUID
    at: datetime = Field(description="When it happened; of a line its booking day begins then.")
    amount_vnd: int | None
    is_out: bool
    reference: str = Field(description="Of a bill or a bank; or a plate, masked unless you manage.")
    words: str
    status: str
    name: str
    statement_id: UUID | None
    line_no: int | None


class FoundOfKindRead(Read):
    """What was found of one kind, newest first."""

    kind: FoundKind
    rows: list[FoundRead]
    has_more: bool
    is_cut: bool = Field(description="It took too long; nothing of this kind is here.")


class SearchRead(Read):
    """What a text found."""

    found: list[FoundOfKindRead]


@router.get("", responses=may_answer(TooManyRequests))
async def find(
    caller: Reader,
    database: TheDatabase,
    limits: TheLimits,
    q: Annotated[
        str,
        Query(
            min_length=2,
            max_length=QUERY_CHARS_MAX,
            description="A reference, a bank's code, an amount, a whole plate, or words.",
            examples=["FT26331000123"],
        ),
    ],
) -> SearchRead:
    """Find what a text may mean, in what the caller may read: at most 20 of each kind.

    Amounts are looked for among the newest 20,000 of each kind, words among the newest 10,000.
    """
    limits.searches.take(str(caller.id))
    found = await search(
        database,
        caller.org_id,
        read_query(q),
        [kind for kind, permission in NEEDS.items() if caller.may(permission)],
        sees_plates=caller.may(Permission.PARKING_MANAGE),
    )
    return SearchRead.model_validate({"found": found}, from_attributes=True)
