"""Packages and networks of plate reading: locked, brought once, and mended when damaged."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.packages import read_lock
from ops.plate_reading import PACKAGES_LOCK, WEIGHTS_LOCK, ensure_plate_reading
from parking.plate_reading.weights import DETECTION, RECOGNITION, read_weights
from tests.world.plate_reader import plate_weights

ROOT = Path(__file__).parents[2]
NOBODY_THERE = "http://127.0.0.1:9/simple"
OFFLINE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": NOBODY_THERE,
    "PIP_FIND_LINKS": "",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_RETRIES": "0",
    "UV_DEFAULT_INDEX": NOBODY_THERE,
    "UV_FIND_LINKS": "",
    "UV_NO_CONFIG": "1",
    "UV_NO_CACHE": "1",
    "UV_HTTP_RETRIES": "0",
}


def test_tests_run_with_the_packages_that_a_city_gets() -> None:
    for_tests = read_lock(ROOT / "requirements-dev.lock")

    assert {"numpy", "onnxruntime"} <= read_lock(PACKAGES_LOCK).keys()
    assert read_lock(PACKAGES_LOCK).items() <= for_tests.items()


def test_the_hub_itself_needs_none_of_them() -> None:
    assert not {"numpy", "onnxruntime"} & read_lock(ROOT / "requirements.lock").keys()
    assert read_lock(WEIGHTS_LOCK) == {"rapidocr-onnxruntime": "1.4.4"}


def test_networks_are_brought_once_and_only_their_files_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plate_weights()  # skips where there is no network

    folder = ensure_plate_reading(tmp_path / "networks")
    assert "Bringing the networks" in capsys.readouterr().err
    assert {path.name for path in folder.iterdir()} == {DETECTION, RECOGNITION, "lock"}

    ensure_plate_reading(folder)
    assert capsys.readouterr().err == ""


def test_a_network_that_was_cut_off_is_brought_again(tmp_path: Path) -> None:
    for name in (DETECTION, RECOGNITION):
        (tmp_path / name).write_bytes((plate_weights() / name).read_bytes())
    (tmp_path / DETECTION).write_bytes(b"cut off")

    ensure_plate_reading(tmp_path)

    assert read_weights(tmp_path, DETECTION)


def test_a_lost_network_is_named_with_what_to_do(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ops.errors import CannotStart\n"
        "from ops.plate_reading import ensure_plate_reading\n"
        "try: ensure_plate_reading(Path(sys.argv[1]))\n"
        "except CannotStart as problem: print(problem)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, **OFFLINE, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert said.stdout == (
        "The package registry could not be reached.\n"
        "Check the network (and HTTPS_PROXY, where you need one), then try again.\n"
    ), said.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
