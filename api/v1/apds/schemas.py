"""Answers in the words of APDS 4.0 (ISO/TS 5206-1): places, rates, sessions, observations.

Names are APDS's, letter for letter, so they are in camel case. Every element has an id and a
version. Source: the APDS 4.0 data dictionary of 7 June 2022.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Apds(BaseModel):
    """The base of all: fields are written in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Versioned(Apds):
    """An element with its id and version."""

    id: UUID
    version: int = 1


class Supply(Apds):
    """How many spaces there are for vehicles of a class, and how many are taken."""

    vehicle_type: str
    supply_quantity: int
    licensed_quantity: int
    occupied_quantity: int
    occupancy_calculation: str = "counted"


class VehicularAccess(Versioned):
    """A lane."""

    name: str
    direction: str


class IdentifiedArea(Versioned):
    """A part of a place."""

    name: str


class Place(Versioned):
    """A lot."""

    type: str = "place"
    name: str
    address: str
    layer: str = Field(description="off_street, on_street or sidewalk.")
    latitude: float | None = Field(description="WGS 84.")
    longitude: float | None
    payment_timing: str
    licence_number: str | None
    supply: list[Supply]
    vehicular_access: list[VehicularAccess]
    identified_area: list[IdentifiedArea]


class Places(Apds):
    """The places of an organisation."""

    places: list[Place]


class RateTable(Versioned):
    """A version of a tariff with what it says."""

    name: str
    rate_table_id: UUID = Field(description="The tariff: the same for all its versions.")
    version_valid_from: datetime
    legal_basis: str
    status: str = Field(description="ahead, in_force, past or withdrawn.")
    currency: str = "VND"
    document: dict[str, Any]


class Rates(Apds):
    """A page of the rates of an organisation."""

    rates: list[RateTable]
    next: UUID | None = Field(description="Ask with it as `after`; null: that was all.")


class Credential(Apds):
    """How a vehicle proves its right."""

    type: str = Field(description="licensePlate or ticket.")
    identifier: str = Field(description="A plate is masked.")


class Session(Versioned):
    """A stay."""

    hierarchy_element_id: UUID = Field(description="The place.")
    vehicle_type: str
    credentials: list[Credential]
    actual_start: datetime
    actual_end: datetime | None
    status: str
    assigned_right_id: UUID | None = Field(description="The pass or exemption.")
    rate_table_version_id: UUID | None
    amount_vnd: int | None
    paid_vnd: int = Field(description="In money.")
    waived_vnd: int = Field(description="By exemptions at the gate: nobody's payment.")


class Sessions(Apds):
    """A page of sessions, oldest first."""

    sessions: list[Session]
    next: UUID | None = Field(description="`after` of the next page; null on the last.")


class Observation(Versioned):
    """A sighting. It is never overwritten."""

    hierarchy_element_id: UUID
    session_id: UUID | None
    vehicular_access_id: UUID | None
    direction: str
    method: str = Field(description="visual, anpr, scanner or rfTransponder.")
    observed_credential: Credential | None
    has_image: bool
    start_time: datetime


class Observations(Apds):
    """A page of observations, oldest first."""

    observations: list[Observation]
    next: UUID | None = Field(description="`after` of the next page; null on the last.")
