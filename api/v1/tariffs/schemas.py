"""Requests and answers about tariffs, their versions, what a stay would cost, and lots."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, Instant, NameText, Read, ReasonText
from parking.tariffs.views import Standing
from parking.vehicles import VehicleClass

Document = Annotated[
    dict[str, Any],
    Field(
        description="What a tariff says, in the words of APDS 4.0: the same document that"
        " `./phopay tariff quote` reads. `valid_from_on` is the day on which it begins.",
    ),
]


class TariffCreate(Body):
    """Price rules under a name; what they say comes as a version."""

    name: Annotated[NameText, Field(examples=["Ô tô, quận Đống Đa"])]


class VersionCreate(Body):
    """What a tariff says from a day on."""

    document: Document


class VersionRead(Read):
    """A version of a tariff."""

    id: UUID
    version: int
    valid_from: datetime
    legal_basis: str
    created_by: str | None
    created_at: datetime
    standing: Standing


class TariffRead(Read):
    """A tariff with its versions, the newest first."""

    id: UUID
    name: str
    created_at: datetime
    versions: list[VersionRead]


class TariffPage(Read):
    """A page of tariffs, newest first."""

    tariffs: list[TariffRead]
    next_cursor: str | None


class VersionWithDocument(VersionRead):
    """A version with what it says."""

    document: Document


class WithdrawRequest(Body):
    """Why a version is taken back."""

    reason: ReasonText | None = None


class SampleRead(Read):
    """A tariff that ships with the product: unverified, to start from."""

    name: str
    title: str
    document: Document


class SampleList(Read):
    """The tariffs that ship with the product."""

    samples: list[SampleRead]


class WhatIf(Body):
    """A stay, and by what it is priced: a stored tariff, a document, or a sample."""

    tariff_id: UUID | None = Field(default=None, description="Its version in force at the entry.")
    document: Document | None = None
    sample: str | None = Field(default=None, max_length=60)
    vehicle_class: VehicleClass
    entered_at: Instant
    left_at: Instant
    zone: NameText | None = None
    user_group: NameText | None = None
    units: int = Field(default=1, ge=1, le=100, description="Spaces that the vehicle takes.")
    is_ticket_lost: bool = False


class WhatIfLine(Read):
    """A line of a price."""

    code: str
    amount_vnd: int
    text: str = Field(description="In Vietnamese, as an accountant writes it.")
    text_en: str


class WhatIfRead(Read):
    """What a stay costs; its lines add up to the amount."""

    amount_vnd: int
    tax_vnd: int
    lines: list[WhatIfLine]


class LotTariffCreate(Body):
    """The tariff that a lot takes from an instant on."""

    tariff_id: UUID
    from_at: Instant | None = Field(default=None, description="Now, where it is left out.")


class LotTariffRead(Read):
    """A lot's taking of a tariff."""

    id: UUID
    lot_id: UUID
    tariff_id: UUID
    tariff_name: str
    from_at: datetime
    standing: Standing


class LotTariffList(Read):
    """Which tariffs a lot took, takes and will take, the latest first."""

    tariffs: list[LotTariffRead]
