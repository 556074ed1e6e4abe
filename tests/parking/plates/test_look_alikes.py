"""Look-alikes of a misread plate are found among the vehicles inside, and the likeliest first."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking.plates.look_alikes import (
    find_by_last_digits,
    find_look_alikes,
    last_digits,
    look_alike_key,
)

# As counted over six readers: what stands on the plate, and what is read.
CONFUSIONS = [
    *("Đ0", "D0", "4L", "B8", "32", "71", "G6", "46", "89", "MN", "MH", "MW", "5S", "S5"),
    *("2Z", "Z2", "A4", "4A", "T7", "T1", "VY", "YV", "KX", "XK", "U0", "1I", "EF", "FP", "HK"),
]
PLATE = "29B112345"
plates = st.from_regex(r"[1-9][0-9][A-HK-NPS-Z]([1-9][0-9]{5}|[0-9]{5})", fullmatch=True)


def found(wanted: str, inside: list[str]) -> list[str]:
    return [one.compact for one in find_look_alikes(wanted, inside)]


@pytest.mark.parametrize("pair", CONFUSIONS)
def test_each_confusion_is_found_and_folded(pair: str) -> None:
    true, read = (f"29{char}112345" for char in pair)

    assert found(read, ["51X987654", true]) == [true]
    assert look_alike_key(read) == look_alike_key(true)
    (by_confusion,) = find_look_alikes(read, [true])
    (by_another,) = find_look_alikes("29C112345", [true])
    assert by_confusion.cost < by_another.cost


def test_the_likeliest_comes_first() -> None:
    inside = ["29B112346", "29B712345", "29B112345", "28B1123456", "29B1123445", "29A112345"]
    ranked = ["29B112345", "29B712345", "29B1123445"]
    ranked += ["29A112345", "29B112346", "28B1123456"]

    assert found("29B112345", inside) == ranked


def test_the_stroke_of_d_is_the_likeliest_confusion() -> None:
    assert found("29M0112345", ["29N0112345", "29MĐ112345"]) == ["29MĐ112345", "29N0112345"]


@pytest.mark.parametrize(
    "true",
    [
        "29B112346",  # another character
        "29B12345",  # one too many was read
        "29B1123456",  # one was lost
        "29B112354",  # two in the other order
    ],
)
def test_one_edit_is_found(true: str) -> None:
    assert found(PLATE, [true]) == [true]


@pytest.mark.parametrize("plate", ["29C1357", "30C13579", "29C135790", "29CC357902"])
def test_neighbours_in_the_other_order_are_found_wherever_they_stand(plate: str) -> None:
    for at in range(len(plate) - 1):
        swapped = plate[:at] + plate[at + 1] + plate[at] + plate[at + 2 :]
        assert found(swapped, [plate]) == [plate], swapped


def test_a_confusion_and_an_edit_are_found_and_two_edits_are_not() -> None:
    assert found(PLATE, ["2981123C5"]) == ["2981123C5"]
    assert found(PLATE, ["29B7123C5"]) == ["29B7123C5"]
    assert found(PLATE, ["29B1C23C5"]) == []
    assert found(PLATE, ["298712C45"]) == []  # two confusions and an edit


def test_a_foreign_plate_is_found_in_both_orders() -> None:
    assert found("80NG01101", ["80011NG01"]) == ["80011NG01"]
    assert found("80011NG001", ["80NG011001"]) == ["80NG011001"]


def test_short_texts_do_not_look_like_everything() -> None:
    assert found("7", ["1", "2", "7", "8"]) == ["7", "1"]


def test_no_more_are_returned_than_were_asked_for() -> None:
    inside = [f"29B1123{n:02}" for n in range(100)]

    assert len(find_look_alikes(PLATE, inside)) == 20
    assert len(find_look_alikes(PLATE, inside, limit=3)) == 3


@given(plates, st.data())
def test_any_single_edit_of_any_plate_is_found(plate: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(plate) - 1))
    char = data.draw(st.sampled_from("0123456789ABCDEFGHKLMNPRSTUVXYZĐ"))
    edited = data.draw(
        st.sampled_from(
            [
                plate[:at] + char + plate[at + 1 :],
                plate[:at] + plate[at + 1 :],
                plate[:at] + char + plate[at:],
                plate[:at] + plate[at : at + 2][::-1] + plate[at + 2 :],
            ]
        )
    )

    assert found(edited, [plate]) == [plate]
    assert found(plate, [edited]) == [edited]


@given(plates, st.data())
def test_a_confusion_besides_an_edit_is_found(plate: str, data: st.DataObject) -> None:
    pair = data.draw(st.sampled_from(CONFUSIONS))
    places = [at for at, char in enumerate(plate) if char in pair]
    if not places:
        return
    at = data.draw(st.sampled_from(places))
    misread = plate[:at] + pair.replace(plate[at], "", 1) + plate[at + 1 :]
    other = data.draw(st.integers(0, len(plate) - 1).filter(lambda n: n != at))
    edited = misread[:other] + "C" + misread[other + 1 :]

    assert found(misread, [plate]) == [plate]
    assert found(edited, [plate]) == [plate]


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=5))
def test_any_text_may_be_looked_for(wanted: str, inside: list[str]) -> None:
    assert set(found(wanted, inside)) <= set(inside)
    assert (wanted in found(wanted, inside)) == (wanted in inside)


def test_the_last_digits_find_a_plate_from_afar() -> None:
    inside = ["30F12345", "29B112345", "30F34512", "TM1345", "80345NG45", "29A5"]

    assert last_digits("30F12345") == "345"
    assert find_by_last_digits("345", inside) == ["30F12345", "29B112345", "TM1345"]
    assert find_by_last_digits("45", inside) == ["30F12345", "29B112345", "TM1345", "80345NG45"]
    assert find_by_last_digits("4545", inside) == ["80345NG45"]
    assert find_by_last_digits("", inside) == []
    assert find_by_last_digits("5A", inside) == []


def test_ten_thousand_plates_inside_are_searched_in_a_moment() -> None:
    picked = random.Random(1)
    inside = [
        f"{picked.choice(['29', '30'])}{picked.choice('ABCDEF')}{picked.randrange(10**6):06}"
        for _ in range(10_000)
    ]
    started_s = time.process_time()

    for wanted in inside[:5]:
        assert wanted in found(wanted, inside)

    # About 0.02 s each on an idle core; a search that compares all with all takes seconds.
    assert (time.process_time() - started_s) / 5 < 0.3
