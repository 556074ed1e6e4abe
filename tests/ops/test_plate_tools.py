"""`./phopay plate parse`: a JSON object for each line, whatever the line holds."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ops.cli.__main__ import main
from ops.plate_tools import PARSED_KEYS, run_plate_parse
from parking.vehicles import VehicleClass

ROOT = Path(__file__).parents[2]


def answers(lines: Any, **given: Any) -> list[dict[str, Any]]:
    out = io.StringIO()
    assert run_plate_parse(lines, out, **given) == 0
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_parse_prints_exactly_the_documented_keys() -> None:
    (answer,) = answers(["30F-123.45"])

    assert tuple(answer) == PARSED_KEYS
    assert answer == {
        "kind": "car",
        "compact": "30F12345",
        "written": "30F-123.45",
        "province": "Hà Nội",
        "is_valid": True,
        "alternatives": [],
    }


def test_an_ambiguous_plate_has_alternatives_until_the_class_is_known() -> None:
    (unknown,) = answers(["30F12345"])
    (known,) = answers(["30F12345"], vehicle_class=VehicleClass.MOTORBIKE)

    assert [(one["kind"], one["written"]) for one in unknown["alternatives"]] == [
        ("car", "30F-123.45"),
        ("motorbike", "30-F1 2345"),
    ]
    assert (known["kind"], known["alternatives"]) == ("motorbike", [])


def test_what_is_no_plate_is_unknown_and_what_is_no_text_an_error_in_its_place() -> None:
    lines = answers(["49 019-BD", "", "30F\x0012345", "7" * 100, "TM 12-34"])

    assert [line.get("kind") or line["error"]["code"] for line in lines] == [
        *("unknown", "plate_empty", "plate_not_text", "plate_too_long", "military")
    ]


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b""))))
def test_each_line_has_its_answer(lines: list[bytes]) -> None:
    assert len(answers(io.BytesIO(b"".join(line + b"\n" for line in lines)))) == len(lines)


def test_plates_may_be_arguments(capsys: Any) -> None:
    assert main(["plate", "parse", "--class", "car", "30F12345", "x"]) == 0

    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in said] == ["car", "unknown"]


def test_as_a_process_it_loads_no_database() -> None:
    program = (
        "import sys; from ops.cli.__main__ import main; status = main(['plate', 'parse']); "
        "sys.exit(9 if {'sqlalchemy', 'psycopg', 'fastapi'} & set(sys.modules) else status)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=b"\xff\n30F12345\n",
        capture_output=True,
        cwd=ROOT,
        check=False,
        timeout=30,
    )

    assert (ran.returncode, ran.stderr) == (0, b"")
    first, second = (json.loads(line) for line in ran.stdout.splitlines())
    assert first["error"]["code"] == "plate_empty"
    assert second["compact"] == "30F12345"
