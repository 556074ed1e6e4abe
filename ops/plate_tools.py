"""`./phopay plate`: number plates, read as the hub reads them; needs no hub.

Lines in, one JSON object for each line out. A plate of no known format is an answer, kind
"unknown"; only a line that is no text for a plate is an error, in its line's place.
"""

import sys
from typing import TYPE_CHECKING, Final, TextIO

from ops.cli.options import add_command, add_group

if TYPE_CHECKING:
    from ops.cli.json_lines import Answer, Lines
    from ops.cli.options import Options, Parsers
    from parking.plates import Plate
    from parking.vehicles import VehicleClass

PARSED_KEYS: Final = ("kind", "compact", "written", "province", "is_valid", "alternatives")


def add_plate(commands: "Parsers") -> "Parsers":
    """Add the group of commands; what is returned takes more of them."""
    from parking.vehicles import VehicleClass

    plate = add_group(commands, "plate", "read number plates")
    parse = add_command(plate, "parse", _parse, "plates in, what they say out as JSON lines")
    parse.add_argument("plates", metavar="PLATE", nargs="*", help="instead of lines of input")
    parse.add_argument(
        "--class",
        dest="vehicle_class",
        choices=[str(one) for one in VehicleClass],
        help="what stands at the gate; without it an ambiguous plate has alternatives",
    )
    return plate


def run_plate_parse(
    lines: "Lines", out: TextIO, *, vehicle_class: "VehicleClass | None" = None
) -> int:
    """Answer each plate with PARSED_KEYS; `alternatives` is empty where there is one reading.

    Returns 0: a line that is refused is an answer, not a failure.
    """
    from ops.cli.json_lines import answer_lines
    from parking.plates import read_plate

    def answer(line: str) -> "Answer":
        plate = read_plate(line, vehicle_class)
        return {
            **_describe(plate),
            "alternatives": [_describe(one) for one in plate.alternatives],
        }

    return answer_lines(lines, out, answer)


def _parse(options: "Options") -> int:
    from parking.vehicles import VehicleClass

    known = options.vehicle_class
    return run_plate_parse(
        options.plates or sys.stdin.buffer,
        sys.stdout,
        vehicle_class=VehicleClass(known) if known else None,
    )


def _describe(plate: "Plate") -> "Answer":
    return {
        "kind": plate.kind.value,
        "compact": plate.compact,
        "written": plate.written,
        "province": plate.province,
        "is_valid": plate.is_valid,
    }
