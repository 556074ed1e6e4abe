"""Plates collected from the field: photographs, other programs and the press."""

from pathlib import Path

import pytest

from parking.plates import PlateKind, read_plate

SHARED = Path(__file__).parents[3] / "../shared/data/plates.tsv"
KINDS = {
    "car": PlateKind.CAR,
    "blue": PlateKind.CAR,
    "yellow": PlateKind.CAR,
    "invalid": PlateKind.CAR,  # a car's grammar, with a code of no province
    "moto": PlateKind.MOTORBIKE,
    "DA": PlateKind.SPECIAL,
    "KT": PlateKind.SPECIAL,
    "LD": PlateKind.SPECIAL,
    "MK": PlateKind.SPECIAL,
    "pilot": PlateKind.SPECIAL,
    "diplomatic": PlateKind.FOREIGN,
    "military": PlateKind.MILITARY,
    "trailer": PlateKind.TRAILER,
    "AMBIGUOUS": PlateKind.CAR,
}


@pytest.mark.skipif(not SHARED.exists(), reason="the collection is not beside this clone")
def test_every_collected_plate_is_read_as_what_it_is() -> None:
    rows = [line.split("\t") for line in SHARED.read_text("utf-8").splitlines()[1:]]
    wrong = []
    for written, compact, told, valid in rows:
        plate = read_plate(written)
        kind = KINDS[told.split("_")[0].split(" ")[0]]
        if "MĐ" in compact:
            kind = PlateKind.ELECTRIC_MOTORBIKE
        is_ambiguous = {"car", "motorbike"} == {one.kind for one in plate.alternatives}
        if (
            (plate.compact, plate.kind) != (compact, kind)
            or plate.is_valid != (valid != "no")
            or (valid == "ambiguous") > is_ambiguous
        ):
            wrong.append((written, plate))

    assert len(rows) > 80
    assert wrong == []
