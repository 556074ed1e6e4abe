"""Movements of devices that were without network, signed beforehand."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from core.ids import new_id
from loadtests.booths import StaffedLot
from loadtests.lots import sign
from loadtests.wire import Batch, Vehicle

BATCH_MOVEMENTS: Final = 50
EXIT_EVERY: Final = 10  # every tenth movement lets out what came before


def write_returning(
    lots: Sequence[StaffedLot],
    entries: Iterator[dict[str, object]],
    *,
    devices: int,
    movements_each: int,
    now: datetime,
) -> list[list[Batch]]:
    """Write the batches of so many devices, one at each lot: mostly entries, some exits."""
    assert devices <= len(lots), "a device's movements are in its own order"
    return [
        _write_device(lots[booth], booth, entries, movements_each, now=now)
        for booth in range(devices)
    ]


def write_inside(
    lots: Sequence[StaffedLot], entries: Iterator[dict[str, object]], count: int, *, now: datetime
) -> list[Batch]:
    """Write batches that bring so many vehicles in, spread over the lots."""
    each = -(-count // len(lots))
    batches = []
    for booth, lot in enumerate(lots):
        vehicles = [next(entries) for _ in range(each)]
        signed = [_sign_entry(lot, entry, seq, now=now) for seq, entry in enumerate(vehicles)]
        batches.append(_pack(booth, signed, [_read(booth, entry) for entry in vehicles]))
    return batches


def _write_device(
    lot: StaffedLot,
    booth: int,
    entries: Iterator[dict[str, object]],
    count: int,
    *,
    now: datetime,
) -> list[Batch]:
    signed: list[dict[str, str]] = []
    entered: list[Vehicle | None] = []
    inside: list[Vehicle] = []
    for seq in range(count):
        at = now - timedelta(minutes=10) + timedelta(seconds=seq)
        if seq % EXIT_EVERY == EXIT_EVERY - 1 and inside:
            data = {"session_id": inside.pop(0).session_id, "staff_id": str(lot.staff_id)}
            forced = {"forced": "unconfirmed", "reason": "Khách đã chuyển khoản"}
            signed.append(_sign(lot, "exit", seq, at, data={**data, **forced}))
            entered.append(None)
            continue
        entry = next(entries)
        vehicle = _read(booth, entry)
        inside.append(vehicle)
        signed.append(_sign_entry(lot, entry, seq, now=at))
        entered.append(vehicle)
    return [
        _pack(booth, signed[at : at + BATCH_MOVEMENTS], entered[at : at + BATCH_MOVEMENTS])
        for at in range(0, count, BATCH_MOVEMENTS)
    ]


def _sign_entry(
    lot: StaffedLot, entry: dict[str, object], seq: int, *, now: datetime
) -> dict[str, str]:
    return _sign(lot, "entry", seq, now, entry=entry)


def _sign(
    lot: StaffedLot, kind: str, seq: int, at: datetime, **of_kind: dict[str, object]
) -> dict[str, str]:
    movement = {
        "id": str(new_id()),
        "seq": seq,
        "kind": kind,
        "device_at": at.isoformat(),
        "offset_ms": 0,
        **of_kind,
    }
    body = msgspec.json.encode(movement)
    return {"body": body.decode(), "signature": sign(lot.key, body)}


def _pack(booth: int, signed: list[dict[str, str]], entered: list[Vehicle | None]) -> Batch:
    return Batch(booth=booth, body=msgspec.json.encode({"movements": signed}), entered=entered)


def _read(booth: int, entry: dict[str, object]) -> Vehicle:
    return Vehicle(
        booth=booth,
        session_id=str(entry["id"]),
        vehicle_class=str(entry["vehicle_class"]),
        plate=str(entry["plate"]),
    )
