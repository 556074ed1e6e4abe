"""References: how they are made, what their check character guarantees, how memos name them."""

import random
from itertools import pairwise
from math import gcd
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.bills.references import (
    ALPHABET,
    MEMO_CHARS_MAX,
    SCRAMBLE_FACTOR,
    SERIAL_COUNT,
    FoundReference,
    ReferenceRule,
    check_reference,
    find_references,
    is_given_out,
    is_org_code,
    make_reference,
    scramble,
    unscramble,
)

SHARED_MEMOS = Path(__file__).parents[3] / "../shared/data/bank_memos.tsv"

ORG = "HNDX"
REFERENCE = make_reference(ORG, 0)

org_codes = st.text(ALPHABET, min_size=4, max_size=4)
serials = st.integers(0, SERIAL_COUNT - 1)


def found(memo: str) -> list[tuple[str, str]]:
    return [(one.reference, one.rule.value) for one in find_references(memo)]


def hybrid_check(values: list[int], base: int) -> int:
    """ISO 7064's hybrid system in general, written apart from the code under test."""
    product = base
    for value in values:
        total = (product + value) % base
        product = (total or base) * 2 % (base + 1)
    return next(check for check in range(base) if (product + check) % base == 1)


# Making


def test_a_reference_has_thirteen_characters_and_names_its_organisation() -> None:
    assert REFERENCE == "PPHNDXCJF3X84"
    assert find_references(REFERENCE) == [
        FoundReference(REFERENCE, ORG, ReferenceRule.MEMO_EXACT),
    ]


@pytest.mark.parametrize("code", ["HNDX", "2222", "PPPP", "ZZZZ"])
def test_four_characters_of_the_alphabet_name_an_organisation(code: str) -> None:
    assert is_org_code(code)


@pytest.mark.parametrize(
    "code", ["", "HND", "HNDXX", "hndx", "HN0X", "HNIX", "HNLX", "HND\n", "HNĐX"]
)
def test_other_texts_name_no_organisation(code: str) -> None:
    assert not is_org_code(code)


@given(serials)
def test_a_serial_is_read_back_from_its_place_and_its_reference(serial: int) -> None:
    assert unscramble(scramble(serial)) == serial
    (found,) = find_references(make_reference(ORG, serial))
    assert found.serial == serial
    assert is_given_out(found, {ORG: serial + 1})
    assert not is_given_out(found, {ORG: serial})
    assert not is_given_out(found, {})


@given(org_codes, serials)
def test_every_reference_checks_and_is_found(org: str, serial: int) -> None:
    reference = make_reference(org, serial)

    assert check_reference(reference)
    # A reference that begins with PPP… may hold a second one by chance; it comes later.
    assert find_references(f"tra tien {reference} cam on")[0].reference == reference


def test_serials_and_references_are_one_to_one() -> None:
    sample = random.Random(30).sample(range(SERIAL_COUNT), 20_000)

    assert len({make_reference(ORG, serial) for serial in sample}) == len(sample)
    assert all(0 <= scramble(serial) < SERIAL_COUNT for serial in (0, 1, SERIAL_COUNT - 1))
    # One to one by construction: multiplying by a number without a factor 2, 3 or 5, adding, and
    # swapping halves can each be undone.
    assert gcd(SCRAMBLE_FACTOR, SERIAL_COUNT) == 1


def test_neighbouring_bills_do_not_look_alike() -> None:
    serials = [make_reference(ORG, serial)[6:12] for serial in range(2_000)]
    same = [sum(a == b for a, b in zip(*pair, strict=True)) for pair in pairwise(serials)]

    assert sum(same) / len(same) < 1.0  # of six characters; in order it would be 4.97
    assert max(same) <= 3


# The check character


@pytest.mark.parametrize(
    ("text", "alphabet", "check"),
    [
        ("0794", "0123456789", "5"),  # ISO 7064's own example for MOD 11,10
        ("A12425GABC1234002", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", "M"),  # GRid, MOD 37,36
    ],
)
def test_the_hybrid_system_is_the_standards(text: str, alphabet: str, check: str) -> None:
    values = [alphabet.index(char) for char in text]

    assert alphabet[hybrid_check(values, len(alphabet))] == check


@given(org_codes, serials)
def test_the_check_character_is_the_hybrid_systems_for_thirty_characters(
    org: str, serial: int
) -> None:
    reference = make_reference(org, serial)
    values = [ALPHABET.index(char) for char in reference[2:12]]

    assert ALPHABET[hybrid_check(values, 30)] == reference[12]


@settings(max_examples=60, deadline=None)
@given(org_codes, serials)
def test_any_single_wrong_character_is_noticed(org: str, serial: int) -> None:
    reference = make_reference(org, serial)
    for at in range(2, 13):
        for char in ALPHABET.replace(reference[at], ""):
            assert not check_reference(reference[:at] + char + reference[at + 1 :])


def test_of_435_swaps_of_neighbours_434_are_noticed() -> None:
    """Exactly: of each pair of unlike neighbours, one state in 435 lets the swap through."""
    unnoticed = total = 0
    for first in range(30):
        for second in range(30):
            for product in range(1, 31):  # what the characters before them left
                if first == second:
                    continue
                total += 1
                unnoticed += after(product, first, second) == after(product, second, first)
    assert (unnoticed, total) == (60, 26_100)
    assert total == 435 * unnoticed


def after(product: int, *values: int) -> int:
    for value in values:
        product = ((product + value) % 30 or 30) * 2 % 31
    return product


def test_swaps_in_real_references_are_noticed_at_that_rate() -> None:
    chance = random.Random(7064)
    unnoticed = total = 0
    for _ in range(6_000):
        reference = make_reference(ORG, chance.randrange(SERIAL_COUNT))
        for at in range(6, 12):
            swapped = reference[:at] + reference[at + 1] + reference[at] + reference[at + 2 :]
            if swapped != reference:
                total += 1
                unnoticed += check_reference(swapped)
    assert 1 / 600 < unnoticed / total < 1 / 320


# Finding

MANGLED = [
    # what the bank did, memo with {} for the reference as it was mangled, rule
    ("nothing", "PPHNDXCJF3X84", "memo_exact"),
    ("a space before and words behind", " PPHNDXCJF3X84 tra tien rau", "memo_exact"),
    ("prefix and suffix of VCB", "MBVCB.123.456.PPHNDXCJF3X84.CT tu 0123 toi 4567", "memo_exact"),
    ("suffix of MB", "PPHNDXCJF3X84- Ma GD ACSP/ II296625", "memo_exact"),
    ("QR glued in front", "QRPPHNDXCJF3X84 VRC", "memo_exact"),
    ("a token glued behind", "PPHNDXCJF3X84GD 789604-040125", "memo_exact"),
    ("a prefix with a slash", "DD/PPHNDXCJF3X84/VN", "memo_exact"),
    (
        "BIDV's frame",
        "TKThe :191xxx, tai TCB. ND PPHNDXCJF3X84 -CTLNHIDI000-1/1-PMT-002",
        "memo_exact",
    ),
    ("lower case", "pphndxcjf3x84", "memo_normalised"),
    ("mixed case", "PpHndXcJf3x84", "memo_normalised"),
    ("a space in the prefix", "P PHNDXCJF3X84", "memo_normalised"),
    ("spaces everywhere", "P P HN DXC JF3 X 84", "memo_normalised"),
    ("a dot in the prefix", "MBVCB.4125.0473 34.P.PHNDXCJF 3X84 VRC", "memo_normalised"),
    ("dashes put in", "PP-HNDX-CJF3X8-4", "memo_normalised"),
    ("cut by a line's end", "PPHNDXCJ\r\nF3X84", "memo_normalised"),
    ("spaces, lower case, glued", "qr pphnd xcjf3x 84ct tu 1069", "memo_normalised"),
    ("full-width letters", "ＰＰＨＮＤＸＣＪＦ３Ｘ８４", "memo_normalised"),
    ("no-break and zero-width spaces", "PP\u00a0HNDX\u200bCJF3X84", "memo_normalised"),
    ("accents from a Vietnamese keyboard", "PPHNĐXCJF3X84", "memo_normalised"),
    ("combining accents", "PPHNDXCJF\u03013X84", "memo_normalised"),
    ("Icelandic eth, capital", "PPHN\u00d0XCJF3X84", "memo_normalised"),
    ("Icelandic eth, small", "pphn\u00f0xcjf3x84", "memo_normalised"),
    ("African D, capital", "PPHN\u0189XCJF3X84", "memo_normalised"),
    ("African D, small", "pphn\u0256xcjf3x84", "memo_normalised"),
    ("a stroke laid over", "PPHND\u0335XCJF3X84", "memo_normalised"),
    ("an eth among words", "CK TRA \u00d0\u01af\u1edcNG PPHN\u00d0XCJF3X84", "memo_normalised"),
]


@pytest.mark.parametrize(("what", "memo", "rule"), MANGLED)
def test_a_reference_is_found_whatever_the_bank_did_to_it(what: str, memo: str, rule: str) -> None:
    assert found(memo) == [(REFERENCE, rule)], what


def test_two_references_are_found_each_once_and_the_untouched_one_first() -> None:
    other = make_reference("2ABC", 77)

    assert found(f"{other.lower()} {REFERENCE} {REFERENCE} {other.lower()}") == [
        (REFERENCE, "memo_exact"),
        (other, "memo_normalised"),
    ]


def test_a_reference_behind_another_prefix_is_found_by_the_overlapping_search() -> None:
    assert (REFERENCE, "memo_exact") in found("PP" + REFERENCE)
    assert (REFERENCE, "memo_exact") in found("APP" + REFERENCE)


def test_a_cyrillic_look_alike_is_not_guessed_at() -> None:
    assert found(REFERENCE.replace("H", "Н")) == []


@pytest.mark.parametrize(
    "memo",
    [
        "PPCDXAFB3CKH\u01af",  # what a Vietnamese keyboard makes of a W
        "PPCDXAFB3CKHU",  # and a bank of that
        "ppcdxafb3ckh\u01b0",
        "PPCDXAFB3CKHU\u031b",
        "PPCDXA FB3CKH\u01af tra tien",
        "PPCDXA\u200bFB3CKH\u1eee",  # with a tone on it
    ],
)
def test_u_stands_for_w_where_the_check_character_says_so(memo: str) -> None:
    assert found(memo) == [("PPCDXAFB3CKHW", "memo_normalised")]


def test_every_w_of_a_reference_may_have_become_u() -> None:
    reference = next(
        one
        for one in (make_reference("WW2W", serial) for serial in range(10_000))
        if one.count("W") >= 5
    )

    assert found(reference.replace("W", "\u01af")) == [(reference, "memo_normalised")]
    assert found(reference.replace("W", "u")) == [(reference, "memo_normalised")]


def test_u_stands_for_no_other_letter_and_for_w_only_with_a_right_check() -> None:
    assert found("PPHNUXCJF3X84") == []  # D in truth
    assert found("PPCDXAFB3CKGU") == []
    assert found("PPCDXAFB3CKVU") == []


def test_a_reference_as_it_is_written_goes_before_one_with_u_for_w() -> None:
    assert found(f"PPCDXAFB3CKHU {REFERENCE.lower()}") == [
        (REFERENCE, "memo_normalised"),
        ("PPCDXAFB3CKHW", "memo_normalised"),
    ]


def test_a_wrong_or_missing_character_finds_nothing() -> None:
    assert found(REFERENCE[:-1] + "5") == []
    assert found(REFERENCE[:-1]) == []
    assert found(REFERENCE.replace("PP", "P")) == []


def test_only_the_first_thousand_characters_are_looked_at() -> None:
    assert found("x" * (MEMO_CHARS_MAX - 13) + REFERENCE) == [(REFERENCE, "memo_exact")]
    assert found("x" * (MEMO_CHARS_MAX - 12) + REFERENCE) == []
    assert found("P" * 1_000_000) == []


@given(st.text(max_size=200))
def test_any_memo_is_answered_and_only_with_references_that_check(memo: str) -> None:
    assert all(check_reference(one.reference) for one in find_references(memo))


@given(serials, st.data())
def test_inserted_separators_and_changed_case_lose_nothing(
    serial: int, data: st.DataObject
) -> None:
    reference = make_reference(ORG, serial)
    separators = st.sampled_from(["", "", "", " ", "  ", ".", "-", "/", "\u00a0"])
    memo = "".join(
        data.draw(separators) + (char.lower() if data.draw(st.booleans()) else char)
        for char in reference
    )

    assert reference in [one.reference for one in find_references(memo)]


def test_by_chance_one_window_of_our_letters_in_thirty_looks_like_a_reference() -> None:
    chance = random.Random(31)
    windows = 60_000
    hits = sum(
        check_reference("PP" + "".join(chance.choices(ALPHABET, k=11))) for _ in range(windows)
    )

    assert 0.9 / 30 < hits / windows < 1.1 / 30


def test_random_memos_of_letters_and_digits_rarely_name_a_reference() -> None:
    """Memos hold 36 characters, not our 30 and U: (31/36)^11 of the windows are made of these."""
    chance = random.Random(36)
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    windows = 60_000
    hits = sum(bool(found("PP" + "".join(chance.choices(letters, k=11)))) for _ in range(windows))

    assert 0 < hits / windows < 1 / 120


NO_REFERENCE = [
    "IB LE VAN A chuyen khoan",
    "BUI VAN A Qaawgm7172  APPMB1 1 CH UYEN TIEN- Ma GD ACSP/ DN863229",
    "IBFT mua   Ma giao dich  Trace334971 Trace 334971",
    "MBVCB.3278907687",
    "884114.100924.223854. chuyen FT24255276428461",
    "NODATA",
    "",
    "SHOPPING cho Dong Xa 2 ky thit 3 bo rau",
]


@pytest.mark.parametrize("memo", NO_REFERENCE)
def test_memos_without_a_reference_name_none(memo: str) -> None:
    assert found(memo) == []


# The shared collection of memos as banks deliver them


def mangle_like(memo: str, code: str, reference: str) -> str:
    """Put our reference where the memo has its code, mangled as that code was.

    Separators inside the code stay where they were, in proportion; letters get the case of the
    character in their place.
    """
    start, end = span_of(memo, code)
    kept = [(i, char) for i, char in enumerate(memo[start:end]) if char.isalnum()]
    pieces = []
    for place, char in enumerate(reference):
        index, model = kept[place * len(kept) // len(reference)]
        gap = ""
        if place and place * len(kept) // len(reference) != (place - 1) * len(kept) // len(
            reference
        ):
            before = index - 1
            while not memo[start + before].isalnum():
                gap = memo[start + before] + gap
                before -= 1
        pieces.append(gap + (char.lower() if model.islower() else char))
    return memo[:start] + "".join(pieces) + memo[end:]


def span_of(memo: str, code: str) -> tuple[int, int]:
    """Find a code in a memo, letters and digits only, without regard to case."""
    plain = [(i, char.lower()) for i, char in enumerate(memo) if char.isalnum()]
    wanted = "".join(char for char in code.lower() if char.isalnum())
    at = "".join(char for _, char in plain).index(wanted)
    return plain[at][0], plain[at + len(wanted) - 1][0] + 1


def test_our_reference_survives_every_pattern_of_the_shared_memos() -> None:
    if not SHARED_MEMOS.exists():
        pytest.skip("bank_memos.tsv lies outside the repository and is not here")
    lines = SHARED_MEMOS.read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    chance = random.Random(0)
    with_code = without = 0
    for channel, memo, code, what in rows:
        if code == "-":
            without += 1
            assert found(memo) == [], (channel, memo)
            continue
        with_code += 1
        for _ in range(20):
            reference = make_reference(ORG, chance.randrange(SERIAL_COUNT))
            arrived = (
                memo.replace(code, reference)
                if code == "<memo>"
                else mangle_like(memo, code, reference)
            )
            names = [one.reference for one in find_references(arrived)]
            assert names == [reference], (channel, arrived, what)
    assert (with_code, without) == (27, 11)


def test_the_mangling_of_a_memo_is_carried_over_to_our_reference() -> None:
    memo = "MBVCB.1.0473 34.V.QR303f2894 ce VRC.CT tu 90"

    mangled = "MBVCB.1.0473 34.P.PHNDXcJF3X 84 VRC.CT tu 90"
    assert mangle_like(memo, "VQR303f2894ce", REFERENCE) == mangled
