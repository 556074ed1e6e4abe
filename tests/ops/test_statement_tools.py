"""`./phopay statement read`: lines, errors by row and column, the sums, and the exit code."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.statement_tools import run_statement_read
from payments.statements.reading.types import ReadingOptions
from tests.world.statements import PLAIN, Rows, as_csv, as_xlsx

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def run(tmp_path: Path, content: bytes, **options: Any) -> tuple[int, str]:
    file = tmp_path / "statement.txt"  # a name that says nothing
    file.write_bytes(content)
    out = io.StringIO()
    as_json = options.pop("as_json", False)
    code = run_statement_read(str(file), ReadingOptions(**options), out, as_json=as_json)
    return code, out.getvalue()


def changed(row: int, column: int, value: str) -> Rows:
    rows = [[*one] for one in PLAIN]
    rows[row][column] = value
    return rows


def test_a_sound_statement_is_printed_and_ends_with_zero(tmp_path: Path) -> None:
    code, said = run(tmp_path, as_csv(PLAIN))

    assert code == 0
    assert "row 8  2026-11-02  +20.000\u00a0₫  = 3.359.682.231\u00a0₫  FT1  MBVCB.1,PH4K" in said
    assert "account   0071001234567, VND" in said
    assert "totals    opening + lines = closing" in said


def test_a_row_s_error_is_printed_by_row_and_column_and_ends_with_one(tmp_path: Path) -> None:
    code, said = run(tmp_path, as_xlsx(changed(9, 4, "1,25")))

    assert code == 1
    assert "Sheet1 row 10, column E (credit): amount_unreadable; value '1,25'" in said


def test_totals_that_do_not_chain_are_said_and_end_with_one(tmp_path: Path) -> None:
    code, said = run(tmp_path, as_csv(changed(11, 5, "3,360,931,230")))

    assert code == 1
    assert "totals    BROKEN: opening + lines ≠ closing" in said
    assert "problem   closing_differs; expected_vnd 3360931231; found_vnd 3360931230" in said


def test_another_account_ends_with_one(tmp_path: Path) -> None:
    code, said = run(tmp_path, as_csv(PLAIN), account_number="123456")

    assert code == 1
    assert "other_account; found '0071001234567'; expected '123456'" in said


def test_json_has_one_object_for_each_line_and_the_summary_last(tmp_path: Path) -> None:
    code, said = run(tmp_path, as_csv(PLAIN), as_json=True)

    items = [json.loads(line) for line in said.splitlines()]
    assert code == 0
    assert [one["kind"] for one in items] == ["line", "line", "line", "summary"]
    assert items[0]["amount_vnd"] == 20_000
    assert items[0]["transacted_at"] == "2026-11-02T07:02:37+00:00"
    assert items[-1]["is_chained"] is True
    assert items[-1]["columns"][4]["meaning"] == "credit"


@pytest.mark.parametrize("as_json", [False, True])
def test_what_cannot_be_read_ends_with_one_and_says_why(tmp_path: Path, as_json: bool) -> None:
    code, said = run(tmp_path, b"nothing of a table\n", as_json=as_json)

    assert code == 1
    assert "no_header" in said
    out = io.StringIO()
    missing = str(tmp_path / "missing")
    assert run_statement_read(missing, ReadingOptions(), out, as_json=as_json) == 1
    assert "cannot be read" in out.getvalue()


def test_the_command_takes_a_mapping_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(as_csv([["Khi", "Bao nhiêu"], ["02/11/2026", "-50.000"]]))
    command = [sys.executable, "-m", "ops.cli", "statement", "read", str(file)]
    mapping = ["--map", "A=transacted_at", "--map", "B=amount", "--first-row", "2"]

    done = subprocess.run(
        [*command, *mapping, "--thousands", "."],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=60,
    )  # fmt: skip
    wrong = subprocess.run(
        [*command, "--map", "A=day"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0
    assert "row 2  2026-11-02  -50.000" in done.stdout
    assert wrong.returncode == 1
    assert "'A=day' is not COLUMN=MEANING" in wrong.stderr
