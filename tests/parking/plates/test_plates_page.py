"""docs/plates.md: its example runs, and its table of formats has what is read."""

import re
from pathlib import Path

from parking.plates import PlateKind, read_plate

PAGE = (Path(__file__).parents[3] / "docs/plates.md").read_text("utf-8")


def test_the_example_of_the_page_holds() -> None:
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example
    exec(example[1], {})


def test_each_written_plate_of_the_page_is_of_its_kind() -> None:
    rows = re.findall(r"^\| (\w+)(?: \([^|]*\))? \| ([^|]*`[^|]*) \|", PAGE, re.MULTILINE)
    kinds = {kind: re.findall(r"`([^`]+)`", cell) for kind, cell in rows if kind in set(PlateKind)}

    assert kinds.keys() == set(PlateKind) - {PlateKind.UNKNOWN}
    for kind, plates in kinds.items():
        for plate in plates:
            assert (read_plate(plate).kind, read_plate(plate).written) == (kind, plate)
