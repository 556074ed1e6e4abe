"""Requests and answers about payees, their codes and their receiving accounts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, NameText, Read, ReasonText

PlaceText = Annotated[NameText, Field(examples=["Chợ Đồng Xa, dãy B, quầy 12"])]


class PayeeCreate(Body):
    """Who money is for: a vendor household, a lot, the office itself."""

    name: Annotated[NameText, Field(examples=["Phở Thìn"])]
    place: PlaceText


class PayeePatch(Body):
    """What to change; what is left out stays."""

    name: NameText | None = None
    place: PlaceText | None = None
    is_closed: bool | None = Field(
        default=None, description="True closes the payee for good; it opens no further bills."
    )
    reason: ReasonText | None = None


class PayeeRead(Read):
    """A payee."""

    id: UUID
    name: str
    place: str
    created_at: datetime
    closed_at: datetime | None


class PayeePage(Read):
    """A page of payees, newest first."""

    payees: list[PayeeRead]
    next_cursor: str | None


class CodeLinks(Read):
    """Where the code is drawn."""

    qr_svg: str
    qr_png: str
    card_png: str


class CodeRead(Read):
    """A code that is not a bill's: printed at a stall."""

    vietqr: str
    bin: str
    bank: str | None
    account_number: str
    holder_name: str
    amount_vnd: int | None
    links: CodeLinks
