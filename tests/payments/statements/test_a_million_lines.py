"""A million lines: every one of them is read, and memory stays flat."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import xlsxwriter

ROOT = Path(__file__).parents[3]
LINES = 1_000_000
LINES_OF_EXCEL = 200_000  # to write a million takes minutes
PEAK_MIB_MAX = 512

# In a process of its own, by the high-water mark of its own memory: what getrusage says of a child
# is at least what its parent had.
PROGRAM = """
import json, re, sys
from pathlib import Path
from payments.statements.reading.formats import read_statement
from payments.statements.reading.types import ReadingOptions, StatementSummary
with open(sys.argv[1], "rb") as file:
    for item in read_statement(file, ReadingOptions()):
        pass
peak_kib = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps({
    "lines": item.lines, "in_vnd": item.in_vnd, "errors": item.row_errors,
    "is_acceptable": item.is_acceptable,
    "peak_mib": int(peak_kib) // 1024,
}))
"""


def read_in_a_process(file: Path) -> dict[str, int]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=540,
        check=True,
    )
    found: dict[str, int] = json.loads(run.stdout)
    print(found)
    return found


def list_rows(count: int) -> Iterator[tuple[str, str, int, int, str]]:
    balance_vnd = 0
    for index in range(count):
        amount_vnd = 20_000 + index % 977
        balance_vnd += amount_vnd
        day = f"{index * 28 // count + 1:02}/11/2026 {index % 24:02}:{index % 60:02}:00"
        memo = f"MBVCB.{index}.PH4K{index:08X} tiền gửi xe"
        yield day, f"FT{index}", amount_vnd, balance_vnd, memo


def write_csv(file: Path, count: int) -> None:
    with file.open("w", encoding="utf-8") as opened:
        opened.write("Số tài khoản,0071001234567\nSố dư đầu kỳ,0\n")
        opened.write("Ngày giao dịch,Số CT,Phát sinh Nợ,Phát sinh Có,Số dư,Mô tả\n")
        for day, reference, amount_vnd, balance_vnd, memo in list_rows(count):
            opened.write(f'{day},{reference},,"{amount_vnd:,}","{balance_vnd:,}","{memo}"\n')


@pytest.mark.slow
def test_memory_does_not_grow_with_the_lines_of_a_csv(tmp_path: Path) -> None:
    peaks = []
    for count in (2_000, 20_000):
        write_csv(tmp_path / "some.csv", count)
        found = read_in_a_process(tmp_path / "some.csv")
        assert (found["lines"], found["errors"]) == (count, 0)
        peaks.append(found["peak_mib"])

    assert peaks[1] - peaks[0] <= 4


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_million_lines_of_csv_are_read_within_half_a_gibibyte(tmp_path: Path) -> None:
    write_csv(tmp_path / "million.csv", LINES)

    found = read_in_a_process(tmp_path / "million.csv")

    assert (found["lines"], found["errors"], found["is_acceptable"]) == (LINES, 0, True)
    assert found["in_vnd"] == sum(20_000 + index % 977 for index in range(LINES))
    assert found["peak_mib"] <= PEAK_MIB_MAX


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_a_long_sheet_of_excel_takes_the_memory_of_its_texts(tmp_path: Path) -> None:
    file = tmp_path / "long.xlsx"
    book = xlsxwriter.Workbook(file)  # every text is one of the shared ones
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["Ngày giao dịch", "Số CT", "Có", "Số dư", "Mô tả"])
    for number, row in enumerate(list_rows(LINES_OF_EXCEL), start=1):
        sheet.write_row(number, 0, row)
    book.close()

    found = read_in_a_process(file)

    assert (found["lines"], found["errors"], found["is_acceptable"]) == (LINES_OF_EXCEL, 0, True)
    assert found["peak_mib"] <= 160
