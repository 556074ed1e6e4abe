"""`./phopay tariff`: one JSON object for a stay, or for each line of input."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.tariff_tools import QUOTED_KEYS, run_tariff_quote, run_tariff_samples
from parking.tariffs.reading import SAMPLES, sample_names

ROOT = Path(__file__).parents[2]
STAY = {"class": "car", "in": "2026-11-20T08:00", "out": "2026-11-20T16:00"}


def answer(tariff: str, **given: Any) -> tuple[int, dict[str, Any]]:
    out = io.StringIO()
    code = run_tariff_quote(tariff, given, [], out)
    return code, json.loads(out.getvalue())


def test_a_quote_has_exactly_the_documented_keys() -> None:
    code, found = answer("hn-dong-da-cars", **STAY)

    assert code == 0
    assert tuple(found) == QUOTED_KEYS
    assert found["amount_vnd"] == 300_000
    assert sum(line["amount_vnd"] for line in found["lines"]) == 300_000
    assert found["lines"][0] == {
        "code": "blocks",
        "amount_vnd": 50_000,
        "count": 2,
        "value_vnd": 25_000,
        "block_minutes": 60,
        "from_minutes": 0,
        "to_minutes": 120,
        "name": "Giờ 1–2",
        "name_en": "Hours 1–2",
        "text": "Giờ 1–2: 2 × 25.000\u00a0₫",
        "text_en": "Hours 1–2: 2 × 25.000\u00a0₫",
    }


def test_an_offset_is_minded_and_none_is_hanois() -> None:
    moments = {"in": "2026-11-20T01:00:00+00:00", "out": "2026-11-20T17:00+07:00"}

    assert answer("hn-dong-da-cars", **{"class": "car"}, **moments)[1]["amount_vnd"] == 345_000


def test_a_tariff_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "tariff.toml"
    file.write_bytes((SAMPLES / "crowd-flat.toml").read_bytes().replace(b"5_000", b"6_000"))

    stay = {**STAY, "class": "motorbike"}
    assert answer(str(file), **stay)[1]["amount_vnd"] == 6_000


def test_faults_of_a_tariff_are_all_in_the_answer(tmp_path: Path) -> None:
    file = tmp_path / "tariff.toml"
    file.write_text("format = 1\nrate_tables = 5\n")

    code, found = answer(str(file), **STAY)
    assert code == 2
    assert found["error"]["code"] == "tariff_not_readable"
    fields = [one["field"] for one in found["error"]["violations"]]
    assert {"code", "name", "seller", "rate_tables"} <= set(fields)


@pytest.mark.parametrize(
    ("tariff", "changed", "code"),
    [
        ("hn-dong-da", {}, "tariff_sample_not_found"),
        ("no-such.toml", {}, "file_not_readable"),
        (".", {}, "file_not_readable"),
        ("hn-dong-da-cars", {"class": "tank"}, "bad_value"),
        ("hn-dong-da-cars", {"class": "bus"}, "no_rate_for_vehicle"),
        ("hn-dong-da-cars", {"in": "yesterday"}, "bad_value"),
        ("hn-dong-da-cars", {"in": None}, "missing"),
        ("hn-dong-da-cars", {"out": None}, "bad_value"),
        ("hn-dong-da-cars", {"out": "2026-11-20T07:00"}, "stay_not_priceable"),
        ("hn-dong-da-cars", {"out": "9999-12-31T23:59-12:00"}, "stay_not_priceable"),
        ("hn-dong-da-cars", {"in": "2017-12-31T08:00"}, "tariff_not_in_force"),
        ("hn-dong-da-cars", {"units": 0}, "bad_value"),
    ],
)
def test_what_is_refused_is_an_error_with_a_code(
    tariff: str, changed: dict[str, Any], code: str
) -> None:
    exit_code, found = answer(tariff, **{**STAY, **changed})

    assert exit_code == 2
    assert found["error"]["code"] == code
    assert found["error"]["detail"]


def test_each_line_of_input_has_its_answer() -> None:
    lines = [
        json.dumps(STAY),
        "nonsense",
        json.dumps({**STAY, "out": "2026-11-20T17:00"}),
        json.dumps({**STAY, "colour": "red"}),
    ]
    out = io.StringIO()

    assert run_tariff_quote("hn-dong-da-cars", {}, lines, out) == 0
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [one.get("amount_vnd") or one["error"]["code"] for one in answers] == [
        *(300_000, "invalid_json", 345_000, "unknown_key"),
    ]


@given(st.text() | st.dictionaries(st.sampled_from([*STAY, "units", "zone"]), st.text()))
def test_no_line_ends_in_a_traceback(line: str | dict[str, str]) -> None:
    written = line if isinstance(line, str) else json.dumps({**STAY, **line})
    out = io.StringIO()

    assert run_tariff_quote("hn-dong-da-cars", {}, [written], out) == 0
    assert len(out.getvalue().splitlines()) == 1


def test_samples_are_listed_with_their_classes() -> None:
    out = io.StringIO()

    assert run_tariff_samples(out) == 0
    listed = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [one["name"] for one in listed] == sample_names()
    assert all(one["title"] and one["classes"] for one in listed)


def test_the_command_answers_alone_on_standard_output() -> None:
    words = ["tariff", "quote", "--tariff", "hn-two-wheelers", "--class", "motorbike"]
    moments = ["--in", "2026-11-20T17:00:00+07:00", "--out", "2026-11-20T20:00:00+07:00"]
    said = subprocess.run(
        [sys.executable, "-m", "ops.cli", *words, *moments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert json.loads(said.stdout)["amount_vnd"] == 12_000
    assert said.stderr == ""
