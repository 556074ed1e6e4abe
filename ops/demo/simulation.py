"""The simulation of the demo: what its traffic is told, as a file of the demo's folder."""

import secrets
from pathlib import Path
from typing import Final

import msgspec

from ops.demo.gates import KEYS_FILE
from ops.demo.parking import PASS_PLATES
from ops.demo.places import PARKING, PLACES, WARD
from ops.environment import write_private

PLAN_FILE: Final = "traffic.json"
NO_STALLS: Final = (PARKING, WARD)


def write_plan(data_dir: Path, *, hub_url: str, sandbox_url: str, speed: int) -> Path:
    """Write what `python -m sandbox.traffic` plays, and return where it is.

    The phones' keys are those that the seeding left in the same folder.
    """
    plan = {
        "hub_url": hub_url,
        "sandbox_url": sandbox_url,
        "gates": msgspec.json.decode((data_dir / KEYS_FILE).read_bytes()),
        "stalls": _list_stalls(),
        "passes": [
            {"vehicle_class": one.value, "plate": plate} for one, plate in PASS_PLATES.items()
        ],
        "has_toll": True,
        "speed": speed,
        "seed": secrets.randbelow(1 << 32),
    }
    path = data_dir / PLAN_FILE
    write_private(path, msgspec.json.encode(plan))
    return path


def _list_stalls() -> list[dict[str, str]]:
    """List the accounts that printed codes of markets name."""
    stalls = []
    for place in PLACES:
        if place in NO_STALLS:
            continue
        for position, stall in enumerate(place.stalls):
            if stall.label in place.payos_labels:  # payOS reports its own orders only
                continue
            bin_, number, _ = place.account_of(position)
            virtual = place.virtual_account_of(position)
            stalls.append({"bin": bin_, "number": virtual or number})
    return stalls
