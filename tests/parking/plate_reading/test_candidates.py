"""Candidates: which lines of a photo are one plate, and in which order they are offered."""

import pytest

from parking.plate_reading.candidates import CANDIDATES_MAX, find_candidates
from parking.plate_reading.types import Box, TextLine
from parking.plates import PlateKind


def a_line(
    text: str,
    *,
    x: float = 400,
    y: float = 300,
    width: float = 150,
    height: float = 60,
    angle: float = 0,
    score: float = 0.98,
) -> TextLine:
    box = Box(x=x, y=y, width=width, height=height, angle=angle)
    return TextLine(text=text, score=score, box=box)


def written(*lines: TextLine) -> list[str]:
    return [one.written for one in find_candidates(lines)]


def test_two_lines_of_which_one_stands_on_the_other_are_one_plate() -> None:
    lines = (a_line("123.45", y=355), a_line("29-B1", y=300, width=120))

    (found,) = find_candidates(lines)

    assert (found.compact, found.written) == ("29B112345", "29-B1 123.45")
    assert found.kind is PlateKind.MOTORBIKE
    assert found.raw_text == "29-B1 123.45"
    assert found.is_valid


@pytest.mark.parametrize(
    "moved",
    [
        {"y": 500},  # a plate's height between them
        {"y": 310},  # one over the other
        {"x": 560, "y": 355},  # beside it
        {"y": 355, "height": 20},  # a sticker
        {"y": 355, "width": 20},
        {"y": 355, "angle": 0.5},
        {"y": 245},  # the number above the series
    ],
)
def test_lines_that_stand_otherwise_are_no_plate(moved: dict[str, float]) -> None:
    found = find_candidates([a_line("29-B1"), a_line("123.45", **moved)])

    assert not any(one.is_valid for one in found)


def test_rows_of_a_plate_that_leans_are_found_together() -> None:
    # It falls to the right: the lower row stands to the left, by half its width.
    upper = a_line("29-B1", x=400, y=300, width=70, angle=0.6)
    lower = a_line("123.45", x=400 - 34, y=300 + 50, width=70, angle=0.6)

    assert written(upper, lower) == ["29-B1 123.45"]


def test_two_vehicles_side_by_side_keep_their_own_rows() -> None:
    lines = [
        *(a_line("66-P1", x=300), a_line("895.75", x=302, y=355)),
        *(a_line("84-B1", x=600), a_line("362.17", x=603, y=355)),
    ]

    assert sorted(written(*lines)) == ["66-P1 895.75", "84-B1 362.17"]


def test_the_larger_of_two_plates_comes_first() -> None:
    near = a_line("51H-040.73", height=60, width=280)
    far = a_line("30A-123.45", x=100, height=15, width=70, score=0.999)

    assert written(far, near) == ["51H-040.73", "30A-123.45"]


def test_a_plate_of_one_row_is_no_motorbikes() -> None:
    (found,) = find_candidates([a_line("30LD-044.11", width=280)])

    assert found.kind is PlateKind.SPECIAL


def test_a_plate_that_was_mended_scores_less_than_one_that_was_read() -> None:
    mended, read = (find_candidates([a_line(text)])[0] for text in ("5IH-040.73", "51H-040.73"))

    assert mended.written == read.written == "51H-040.73"
    assert mended.raw_text == "5IH-040.73"
    assert mended.score < read.score


def test_plates_of_other_grammars_are_named_by_theirs() -> None:
    assert written(a_line("80-NN-168-06")) == ["80-NN-168-06"]
    assert written(a_line("T12-34567")) == ["T12-34567"]
    assert written(a_line("TM 12-34")) == ["TM 12-34"]
    assert written(a_line("TM"), a_line("123", y=355)) == ["TM 123"]
    assert written(a_line("80-011"), a_line("NG-01", y=355)) == ["80-011-NG-01"]


def test_an_old_plate_that_no_rule_knows_is_offered_last_and_as_it_was_read() -> None:
    old = [a_line("49", x=100, width=65), a_line("019-BD", x=105, y=355)]
    found = find_candidates([*old, a_line("51H-040.73", x=600, width=280, score=0.6)])

    assert [one.is_valid for one in found] == [True, False]
    assert (found[1].kind, found[1].compact) == (PlateKind.UNKNOWN, "49019BD")


def test_a_row_of_a_plate_is_not_offered_as_another_plate() -> None:
    # With its screw the lower row has as many characters as an old plate.
    assert written(a_line("29-B1"), a_line("H123.45", y=355)) == ["29-B1 123.45"]


def test_words_of_the_street_are_no_candidates() -> None:
    assert written(a_line("HONDA"), a_line("CAFE SEN", y=100), a_line("24/7", y=30)) == []


def test_many_lines_give_few_candidates() -> None:
    lines = [a_line(f"51H-040.{n:02}", x=40 * n, y=40 * n) for n in range(30)]

    assert len(find_candidates(lines)) == CANDIDATES_MAX


def test_a_photo_without_text_has_no_candidates() -> None:
    assert find_candidates([]) == ()
