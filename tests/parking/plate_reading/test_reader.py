"""The reader on whole pictures: drawn plates always, real photos where they are at hand."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from parking.plate_reading.errors import PhotoUnreadable, PlateReadingTimedOut
from parking.plate_reading.reader import PlateReader
from parking.plate_reading.types import Reading
from parking.plate_reading.weights import DETECTION, RECOGNITION
from parking.plates import PlateKind
from tests.world.plate_photos import BLUE, WHITE, YELLOW, a_plate, a_street, as_jpeg
from tests.world.plate_reader import plate_reader, plate_weights

ROOT = Path(__file__).parents[3]
# Photos of real plates are personal data: they lie beside the project and never in it.
REAL_PHOTOS = ROOT / "../shared/data/plate_photos"
ROWS = {
    "51H-040.73": ("51H-040.73",),
    "30A-123.45": ("30A", "123.45"),
    "29-B1 123.45": ("29-B1", "123.45"),
    "29-B1 1234": ("29-B1", "1234"),
    "29AA 678.90": ("29AA", "678.90"),
    "50HA 6666": ("50HA", "6666"),
    "29-MĐ1 013.53": ("29-MĐ1", "013.53"),
    "TM 12-34": ("TM", "12-34"),
}


def best_of(reading: Reading) -> str | None:
    return reading.candidates[0].written if reading.candidates else None


@pytest.mark.parametrize("plate", ROWS)
def test_a_crop_of_a_plate_is_read(plate: str) -> None:
    reading = plate_reader().read(as_jpeg(a_plate(*ROWS[plate])))

    assert best_of(reading) == plate
    assert reading.candidates[0].score > 0.8


@pytest.mark.parametrize(("ground", "ink"), [(BLUE, WHITE), (YELLOW, (20, 20, 20))])
def test_plates_of_the_state_and_of_hauliers_are_read_too(
    ground: tuple[int, int, int], ink: tuple[int, int, int]
) -> None:
    plate = a_plate("80A-919.99", ground=ground, ink=ink)

    assert best_of(plate_reader().read(as_jpeg(plate))) == "80A-919.99"


@pytest.mark.slow
@pytest.mark.parametrize("turned", [-6, 0, 6])
@pytest.mark.parametrize("plate", ["51H-040.73", "29-B1 123.45"])
def test_a_plate_somewhere_in_a_street_is_read(plate: str, turned: float) -> None:
    street = a_street((a_plate(*ROWS[plate]), (380, 420)), turned=turned)

    assert best_of(plate_reader().read(as_jpeg(street))) == plate


def test_both_plates_of_a_street_are_candidates() -> None:
    bike, car = a_plate("29-B1", "123.45"), a_plate("51H-040.73")

    reading = plate_reader().read(as_jpeg(a_street((bike, (90, 420)), (car, (480, 470)))))

    assert {one.written for one in reading.candidates} == {"29-B1 123.45", "51H-040.73"}
    assert {one.kind for one in reading.candidates} == {PlateKind.MOTORBIKE, PlateKind.CAR}
    assert "CAFE" in " ".join(line.text for line in reading.lines)


@pytest.mark.slow
@pytest.mark.parametrize(("orientation", "quarter"), [(6, 90), (8, 270), (3, 180)])
def test_a_photo_that_the_phone_stored_on_its_side_is_read(orientation: int, quarter: int) -> None:
    street = a_street((a_plate("29-B1", "123.45"), (380, 420)))
    stored = street.rotate(quarter, expand=True)

    assert best_of(plate_reader().read(as_jpeg(stored, orientation=orientation))) == "29-B1 123.45"


def test_a_photo_of_twelve_megapixels_is_read() -> None:
    street = a_street((a_plate("29-B1", "123.45"), (380, 420))).resize((4032, 3024))

    assert best_of(plate_reader().read(as_jpeg(street))) == "29-B1 123.45"


def test_a_street_without_vehicles_has_no_candidates() -> None:
    assert plate_reader().read(as_jpeg(a_street())).candidates == ()


@pytest.mark.timeout(60)
def test_noise_has_no_candidates_and_is_gone_through_in_seconds() -> None:
    noise = Image.frombytes("RGB", (960, 960), random.Random(6).randbytes(960 * 960 * 3))

    assert plate_reader().read(as_jpeg(noise)).candidates == ()


@pytest.mark.parametrize("size", [(12, 12), (12, 240), (240, 12), (960, 48), (48, 960)])
def test_odd_sizes_end_in_no_candidates(size: tuple[int, int]) -> None:
    assert plate_reader().read(as_jpeg(Image.new("RGB", size, WHITE))).candidates == ()


def test_reading_stops_when_its_time_is_over() -> None:
    with pytest.raises(PlateReadingTimedOut):
        plate_reader().read(as_jpeg(a_plate("51H-040.73")), timeout_s=0)


def test_what_is_no_photo_is_refused() -> None:
    with pytest.raises(PhotoUnreadable):
        plate_reader().read(b"GIF89a")


@pytest.mark.parametrize("name", [DETECTION, RECOGNITION])
def test_a_network_that_was_changed_is_never_loaded(name: str, tmp_path: Path) -> None:
    for whole in (DETECTION, RECOGNITION):
        (tmp_path / whole).write_bytes((plate_weights() / whole).read_bytes())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1] + b"\0")

    with pytest.raises(ValueError, match="is not the file that it should be"):
        PlateReader.load(tmp_path)


@pytest.mark.slow
def test_whoever_reads_no_plate_loads_neither_numpy_nor_onnxruntime() -> None:
    code = (
        "import sys, api.app, worker.app, parking.plate_reading.reader, ops.plate_reading\n"
        "import ops.cli.__main__, ops.cli.tools_plate_reading\n"
        "print(sorted({'numpy', 'onnxruntime'} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert said.stdout == "[]\n", said.stderr


def real_plates() -> dict[str, list[str]]:
    """The plates of each photo, compact, as a person read them."""
    labels = (REAL_PHOTOS / "labels.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in labels]
    return {row[0]: [re.sub(r"[^0-9A-ZĐ]", "", one) for one in row[1].split("|")] for row in rows}


@pytest.mark.slow
@pytest.mark.skipif(not REAL_PHOTOS.exists(), reason="no photos of real plates beside the project")
def test_of_ten_real_photos_at_least_eight_have_their_plate_among_the_candidates(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, first = 0, 0
    for name, plates in real_plates().items():
        read = [
            one.compact for one in plate_reader().read((REAL_PHOTOS / name).read_bytes()).candidates
        ]
        found += any(plate in read for plate in plates)
        first += bool(read) and read[0] in plates
    with capsys.disabled():
        print(f"\nplate among the candidates: {found} of {len(real_plates())}; first: {first}")

    assert found >= 0.8 * len(real_plates())
