"""Properties of every plate: one key for one vehicle, and no text that is not read."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking.plates import (
    PLATE_CHARS_MAX,
    Plate,
    PlateEmpty,
    PlateError,
    PlateKind,
    PlateNotText,
    PlateTooLong,
    format_plate,
    mask_plate,
    read_plate,
)
from parking.plates.law import (
    FOREIGN_SYMBOLS,
    PROVINCES,
    SERIES_LETTERS,
    SPECIAL_SYMBOLS,
    TRAILER_SYMBOLS,
    UNASSIGNED_CODES,
)
from parking.vehicles import VehicleClass

CAR, MOTORBIKE = VehicleClass.CAR, VehicleClass.MOTORBIKE

codes = st.sampled_from(sorted(PROVINCES))
letters = st.sampled_from(SERIES_LETTERS)
fives = st.integers(1, 99_999).map("{:05}".format)
fours = st.integers(1, 9_999).map("{:04}".format)
countries = st.integers(1, 999).map("{:03}".format)


def number(digits: str) -> str:
    return f"{digits[:3]}.{digits[3:]}" if len(digits) == 5 else digits


# (as the law writes it, kind, class at the gate)
Issued = tuple[str, PlateKind, VehicleClass]
issued: st.SearchStrategy[Issued] = st.one_of(
    st.builds(
        lambda p, s, n: (f"{p}{s}-{number(n)}", PlateKind.CAR, CAR), codes, letters, fives | fours
    ),
    st.builds(
        lambda p, s, d, n: (f"{p}-{s}{d} {number(n)}", PlateKind.MOTORBIKE, MOTORBIKE),
        codes,
        letters,
        st.integers(1, 9),
        fives | fours,
    ),
    st.builds(
        lambda p, s, t, n: (f"{p}{s}{t} {number(n)}", PlateKind.MOTORBIKE, MOTORBIKE),
        codes,
        letters,
        letters,
        fives | fours,
    ),
    st.builds(
        lambda p, d, n: (f"{p}-MĐ{d} {number(n)}", PlateKind.ELECTRIC_MOTORBIKE, MOTORBIKE),
        codes,
        st.integers(1, 9),
        fives,
    ),
    st.builds(
        lambda p, s, n: (f"{p}{s}-{number(n)}", PlateKind.SPECIAL, CAR),
        codes,
        st.sampled_from(SPECIAL_SYMBOLS),
        fives | fours,
    ),
    st.builds(
        lambda p, s, n: (f"{p}{s}-{number(n)}", PlateKind.TRAILER, CAR),
        codes,
        st.sampled_from(TRAILER_SYMBOLS),
        fives | fours,
    ),
    st.builds(
        lambda p, c, s, n: (f"{p}-{c}-{s}-{n:02}", PlateKind.FOREIGN, CAR),
        codes,
        countries,
        st.sampled_from(FOREIGN_SYMBOLS),
        st.integers(1, 99),
    ),
    st.builds(
        lambda a, b, n: (f"{a}{b} {n[:2]}-{n[2:]}", PlateKind.MILITARY, CAR),
        letters,
        letters,
        fours,
    ),
    st.builds(lambda p, n: (f"T{p}-{n}", PlateKind.TEMPORARY, CAR), codes, fives),
)
classes = st.none() | st.sampled_from(VehicleClass)
# Every character, with more of those that plates and keyboards have.
texts = st.text(max_size=PLATE_CHARS_MAX) | st.text(
    "0123456789ABDHĐMOIQRTJÂÁẠƯđw .-/\n", max_size=PLATE_CHARS_MAX
)


@given(issued)
def test_what_is_written_is_read_and_written_again(plate: Issued) -> None:
    as_written, kind, vehicle_class = plate

    found = read_plate(as_written, vehicle_class)

    assert (found.written, found.kind, found.is_valid) == (as_written, kind, True)
    assert format_plate(found.compact, vehicle_class) == as_written
    assert found.alternatives == ()


@given(issued, st.data())
def test_separators_and_case_leave_the_key_as_it_is(plate: Issued, data: st.DataObject) -> None:
    as_written, _, vehicle_class = plate
    key = read_plate(as_written, vehicle_class).compact
    gaps = st.sampled_from(["", " ", "-", ".", "/", "\n", "\u200b", " - "])
    # Đ is kept: D may be another letter.
    typed = "".join(data.draw(gaps) + char for char in key if char.isalnum())
    typed = typed if len(typed) <= PLATE_CHARS_MAX else key

    assert read_plate(typed.lower(), vehicle_class).compact == key
    assert read_plate(unicodedata.normalize("NFD", typed), vehicle_class).compact == key


@given(issued)
def test_full_width_is_the_same_plate(plate: Issued) -> None:
    as_written, _, vehicle_class = plate
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in as_written)

    assert read_plate(wide, vehicle_class) == read_plate(as_written, vehicle_class)


@given(issued)
def test_letters_typed_for_digits_are_digits(plate: Issued) -> None:
    as_written, _, vehicle_class = plate
    head, last = as_written[:-2], as_written[-2:]
    typed = head + last.replace("0", "O").replace("1", "I")

    assert read_plate(typed, vehicle_class).compact == read_plate(as_written, vehicle_class).compact


@given(texts, classes)
def test_any_text_is_read_or_refused_with_a_fact(
    text: str, vehicle_class: VehicleClass | None
) -> None:
    try:
        plate = read_plate(text, vehicle_class)
    except (PlateEmpty, PlateTooLong, PlateNotText):
        return
    for one in (plate, *plate.alternatives):
        assert 0 < len(one.compact) <= PLATE_CHARS_MAX
        assert one.written
        assert one.compact.isalnum()
        assert (one.province is not None) <= (one.kind is not PlateKind.UNKNOWN)


@given(texts, classes)
def test_a_key_is_its_own_key(text: str, vehicle_class: VehicleClass | None) -> None:
    try:
        plate = read_plate(text, vehicle_class)
    except PlateError:
        return

    assert read_plate(plate.compact, vehicle_class).compact == plate.compact
    again = read_plate(plate.written, vehicle_class)
    assert again.compact == plate.compact


@given(texts, classes)
def test_alternatives_begin_with_what_is_answered(
    text: str, vehicle_class: VehicleClass | None
) -> None:
    try:
        plate = read_plate(text, vehicle_class)
    except PlateError:
        return

    if plate.alternatives:
        first, *others = plate.alternatives
        assert others
        assert first.alternatives == ()
        assert (first.kind, first.compact) == (plate.kind, plate.compact)
        assert len(set(plate.alternatives)) == len(plate.alternatives)


@given(issued)
def test_a_mask_hides_three_characters_of_an_issued_plate(plate: Issued) -> None:
    as_written, _, vehicle_class = plate
    compact = read_plate(as_written, vehicle_class).compact

    masked = mask_plate(as_written)

    assert masked == mask_plate(compact)
    assert len(masked.replace("*", "")) <= len(compact) - 3
    assert compact not in masked
    assert as_written not in masked


@given(st.text())
def test_a_mask_never_holds_a_whole_text_and_never_fails(text: str) -> None:
    masked = mask_plate(text)

    assert "***" in masked
    plain = "".join(char for char in text.upper() if char.isalnum())
    assert not plain or plain not in masked


def test_every_code_is_given_once_or_to_nobody() -> None:
    assert len(PROVINCES) == 81
    assert len(set(PROVINCES.values())) == 35  # 34 provinces and the traffic police
    assert PROVINCES.keys() & UNASSIGNED_CODES == set()
    assert PROVINCES.keys() | UNASSIGNED_CODES == {str(code) for code in range(11, 100)}


@pytest.mark.parametrize("plate", [read_plate("30F12345")])
def test_plates_may_be_keys_of_a_dictionary(plate: Plate) -> None:
    assert {plate: 1}[read_plate("30F12345")] == 1
