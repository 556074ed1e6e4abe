"""Builders of the tariff tests: moments of Hà Nội, stays, and tariffs that name what matters."""

from datetime import datetime
from typing import Any

from core.clock import HANOI
from parking.tariffs.charges import Stay
from parking.tariffs.pricing import Price, price_stay
from parking.tariffs.reading import build_tariff
from parking.tariffs.structure import Tariff
from parking.vehicles import VehicleClass

SELLER = {"name": "Điểm đỗ 1", "address": "Hà Nội", "tax_code": "0100000000"}


def at(written: str) -> datetime:
    """A moment of November 2026 in Hà Nội: "20 08:00" is the 20th; a whole date goes as well."""
    day, clock = written.split()
    return datetime.fromisoformat(f"{day if '-' in day else f'2026-11-{day}'}T{clock}").replace(
        tzinfo=HANOI
    )


def a_stay(entered: str | None, vehicle_class: str = "car", **facts: Any) -> Stay:
    entered_at = None if entered is None else at(entered)
    return Stay(vehicle_class=VehicleClass(vehicle_class), entered_at=entered_at, **facts)


def cost(tariff: Tariff, entered: str, left: str, vehicle_class: str = "car", **facts: Any) -> int:
    return price(tariff, entered, left, vehicle_class, **facts).amount_vnd


def price(
    tariff: Tariff, entered: str, left: str, vehicle_class: str = "car", **facts: Any
) -> Price:
    found = price_stay(tariff, a_stay(entered, vehicle_class, **facts), left_at=at(left))
    assert sum(line.amount_vnd for line in found.lines) == found.amount_vnd
    return found


def flat(value_vnd: int, **fields: Any) -> dict[str, Any]:
    return {"type": "flatRate", "value_vnd": value_vnd, **fields}


def hourly(value_vnd: int, **fields: Any) -> dict[str, Any]:
    fields = {"increment_minutes": 60, **fields}
    return {"type": "incrementingRate", "value_vnd": value_vnd, **fields}


def a_document(*lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A tariff's document with one collection of these lines, for every vehicle.

    `collection` adds to the collection; `rate_tables` replaces all of it.
    """
    collection = {"rate_lines": list(lines), **fields.pop("collection", {})}
    return {
        "format": 1,
        "code": "test",
        "name": "Biểu giá thử",
        "legal_basis": "QĐ 44/2017/QĐ-UBND",
        "valid_from_on": "2018-01-01",
        "payment_timing": "payPriorToExit",
        "seller": SELLER,
        "rate_tables": [{"rate_line_collections": [collection]}],
        **fields,
    }


def a_tariff(*lines: dict[str, Any], **fields: Any) -> Tariff:
    return build_tariff(a_document(*lines, **fields))
