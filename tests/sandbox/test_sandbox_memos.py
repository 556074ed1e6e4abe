"""Memos as the sandbox's banks change them."""

import re
from datetime import UTC, datetime
from random import Random

import pytest

from sandbox.bank import BANKS, Transit
from sandbox.memos import GRAMMARS, Style, default_memo, insert_spaces, mangle, to_bank_letters

NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
REFERENCE = "PPMOXA234567K"


def a_transit(bin_: str = "970422", ordinal: int = 1, memo: str = REFERENCE) -> Transit:
    return Transit(
        ordinal=ordinal, memo=memo, payer_bin="970436", payer_number="0011004070001",
        payer_name="NGUYEN VAN A", bin=bin_, number="0988000111", holder="HO KINH DOANH QUAY 7",
        reference="FT26324000000001", at=NOON,
    )  # fmt: skip


def memos_of(bin_: str, style: Style, count: int = 200) -> list[str]:
    return [mangle(a_transit(bin_, n), seed=1, style=style) for n in range(count)]


@pytest.mark.parametrize("bin_", BANKS)
def test_a_reference_can_be_found_in_every_usual_memo(bin_: str) -> None:
    for memo in memos_of(bin_, Style.USUAL):
        assert REFERENCE in re.sub(r"[^A-Z0-9]", "", memo.upper())


@pytest.mark.parametrize("bin_", BANKS)
def test_every_grammar_of_a_bank_is_used(bin_: str) -> None:
    told = [
        mangle(a_transit(bin_, n, "Pp-moxa ABC"), seed=1, style=Style.USUAL) for n in range(200)
    ]
    shapes = {re.sub(r"[0-9]+", "#", memo) for memo in told}
    assert len(shapes) >= len(GRAMMARS[BANKS[bin_].code])


def test_the_same_seed_mangles_the_same_way() -> None:
    again = [mangle(a_transit(ordinal=n), seed=1, style=Style.LOSSY) for n in range(200)]
    assert memos_of("970422", Style.LOSSY) == again
    assert again != [mangle(a_transit(ordinal=n), seed=2, style=Style.LOSSY) for n in range(200)]


def test_lossy_banks_lose_about_a_quarter_of_the_references() -> None:
    lost = [
        memo for memo in memos_of("970436", Style.LOSSY)
        if REFERENCE not in re.sub(r"[^A-Z0-9]", "", memo.upper())
    ]  # fmt: skip
    assert 20 <= len(lost) <= 80
    assert set(lost) == {default_memo("NGUYEN VAN A"), "NODATA", ""}


def test_an_empty_memo_gets_the_default() -> None:
    told = mangle(a_transit(memo=" "), seed=1, style=Style.USUAL)
    assert told == "NGUYEN VAN A chuyen tien"


def test_as_typed_changes_nothing_but_letters_that_napas_cannot_carry() -> None:
    memo = mangle(a_transit(memo="Trả tiền Đậu-phụ ☺"), seed=1, style=Style.AS_TYPED)
    assert memo == "Tra tien Dau-phu "


def test_every_look_alike_of_a_stroked_d_goes_through_as_d() -> None:
    memo = mangle(
        a_transit(memo="\u0110\u00d0\u0189 \u0111\u00f0\u0256"), seed=1, style=Style.AS_TYPED
    )
    assert memo == "DDD ddd"


def test_mb_takes_dashes_out_and_adds_its_id() -> None:
    memos = [
        mangle(a_transit(ordinal=n, memo="SEPAY-123456"), seed=1, style=Style.USUAL)
        for n in range(200)
    ]
    assert any(re.fullmatch(r"SEPAY123456- Ma GD ACSP/ [a-z]{2}\d{6}", memo) for memo in memos)
    assert any(re.match(r"MBVCB\.[\d ]+\.[\d ]+\.", memo) for memo in memos)


def test_inserted_spaces_lose_no_letter() -> None:
    text = "MBVCB.4125261053.047334.VQR303f2894ce"
    assert insert_spaces(text, Random(1), every=5).replace(" ", "") == text
    assert to_bank_letters(text) == text
