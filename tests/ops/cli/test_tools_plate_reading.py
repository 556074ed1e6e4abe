"""`plate read`: one JSON object for each photo, whatever lies in the file."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.cli.tools_plate_reading import run_plate_read
from parking.plate_reading.photos import PHOTO_BYTES_MAX
from tests.world.plate_photos import a_plate, a_street, as_jpeg, as_png
from tests.world.plate_reader import plate_weights

ROOT = Path(__file__).parents[3]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a crop, a street and what is no photo."""
    (tmp_path / "crop.png").write_bytes(as_png(a_plate("51H-040.73")))
    street = a_street((a_plate("29-B1", "123.45"), (380, 420)))
    (tmp_path / "phố.jpg").write_bytes(as_jpeg(street))
    (tmp_path / "notes.txt").write_text("51H-040.73")
    (tmp_path / "empty.jpg").write_bytes(b"")
    return tmp_path


def answers(files: Any) -> list[dict[str, Any]]:
    out = io.StringIO()
    assert run_plate_read(files, plate_weights(), out) == 0
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.slow
def test_each_photo_is_answered_with_its_candidates(photos: Path) -> None:
    crop, street = answers([str(photos / "crop.png"), str(photos / "phố.jpg")])

    assert crop["file"] == str(photos / "crop.png")
    (candidate,) = crop["candidates"]
    assert candidate["score"] > 0.8
    assert {name: value for name, value in candidate.items() if name != "score"} == {
        "text": "51H-040.73",
        "compact": "51H04073",
        "written": "51H-040.73",
        "kind": "car",
        "is_valid": True,
    }
    assert [one["written"] for one in street["candidates"]] == ["29-B1 123.45"]
    assert street["candidates"][0]["kind"] == "motorbike"
    assert {line["text"] for line in street["lines"]} >= {"29-B1", "123.45"}


def test_a_file_that_cannot_be_read_is_answered_in_its_place(photos: Path) -> None:
    large = photos / "large.jpg"
    with large.open("wb") as file:
        file.truncate(PHOTO_BYTES_MAX + 1)
    names = ["notes.txt", "empty.jpg", "nowhere.jpg", "large.jpg", "crop.png"]

    said = answers([*(str(photos / name) for name in names), str(photos), "a\0b"])

    assert [one.get("error", {}).get("code") for one in said] == [
        *("photo_unreadable", "photo_unreadable", "file_unreadable", "photo_too_large"),
        *(None, "file_unreadable", "file_unreadable"),
    ]
    assert all(one["error"]["detail"].endswith(".") for one in said if "error" in one)


def test_names_may_be_lines_of_input(photos: Path) -> None:
    lines = io.BytesIO(f"{photos / 'crop.png'}\r\n\n{photos / 'phố.jpg'}\n".encode())

    crop, nothing, street = answers(lines)

    assert crop["candidates"][0]["written"] == "51H-040.73"
    assert nothing["error"]["code"] == "file_unreadable"
    assert street["file"].endswith("phố.jpg")


@pytest.mark.slow
def test_the_command_prints_answers_and_nothing_else(photos: Path) -> None:
    plate_weights()
    command = [sys.executable, "-m", "ops.cli", "plate", "read", str(photos / "crop.png"), "nope"]
    said = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert said.returncode == 0
    assert [list(json.loads(line)) for line in said.stdout.splitlines()] == [
        ["file", "candidates", "lines"],
        ["file", "error"],
    ]
    assert said.stderr == ""
