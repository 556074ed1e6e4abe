"""Amounts in Vietnamese words: 21500 → "hai mươi mốt nghìn năm trăm đồng".

Written here because num2words is wrong for money ("một nghìn lẻ năm" for 1005, 15 for -5).
api/static/js/words.js is the twin that the counter's screen speaks with; a test holds them equal.
"""

from typing import Final, Literal

Linh = Literal["linh", "lẻ"]  # the zero of the tens: North, South
Nghin = Literal["nghìn", "ngàn"]  # thousand: North, South

NUMBER_MAX: Final = 10**18 - 1

_DIGITS: Final = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
# What follows "mươi" changes its sound: hai mươi mốt, hai mươi tư, hai mươi lăm.
_AFTER_TENS: Final = {1: "mốt", 4: "tư", 5: "lăm"}
_BILLION: Final = 10**9


def spell_vnd(amount_vnd: int, *, linh: Linh = "linh", nghin: Nghin = "nghìn") -> str:
    """Spell an amount as it is said aloud: 1005 → "một nghìn không trăm linh năm đồng".

    Args:
        amount_vnd: whole đồng, 0 to NUMBER_MAX.
        linh: how the zero of the tens is said, "linh" in the North, "lẻ" in the South.
        nghin: "nghìn" in the North, "ngàn" in the South.

    Raises:
        ValueError: the amount is negative or too large to be money.
    """
    return " ".join(words_of(amount_vnd, linh=linh, nghin=nghin))


def words_of(amount_vnd: int, *, linh: Linh = "linh", nghin: Nghin = "nghìn") -> list[str]:
    """Return the syllables of spell_vnd one by one: what the clips of the speaker are joined from.

    Raises:
        ValueError: as spell_vnd.
    """
    return [*_number_words(amount_vnd, linh, nghin), "đồng"]


def spell_number(number: int, *, linh: Linh = "linh", nghin: Nghin = "nghìn") -> str:
    """Spell a whole number without a unit: 3 → "ba" (of "ba khoản lúc mất mạng").

    Raises:
        ValueError: as spell_vnd.
    """
    return " ".join(_number_words(number, linh, nghin))


def _number_words(number: int, linh: Linh, nghin: Nghin) -> list[str]:
    if not 0 <= number <= NUMBER_MAX:
        raise ValueError(f"number must be from 0 to {NUMBER_MAX}, not {number}")
    if number == 0:
        return [_DIGITS[0]]
    billions, rest = divmod(number, _BILLION)
    words = [*_number_words(billions, linh, nghin), "tỷ"] if billions else []
    for value, name in ((10**6, "triệu"), (10**3, nghin), (1, "")):
        group = rest // value % 1000
        if group:
            words += _group_words(group, is_first=not words, linh=linh)
            words += [name] if name else []
    return words


def _group_words(group: int, *, is_first: bool, linh: Linh) -> list[str]:
    """Spell 1 to 999; after a larger group the empty hundreds are said too ("không trăm")."""
    hundreds, tens, ones = group // 100, group // 10 % 10, group % 10
    words = [] if is_first and not hundreds else [_DIGITS[hundreds], "trăm"]
    if tens == 0:
        if ones:
            words += [linh, _DIGITS[ones]] if words else [_DIGITS[ones]]
        return words
    words += ["mười"] if tens == 1 else [_DIGITS[tens], "mươi"]
    if ones:
        is_changed = ones == 5 or tens > 1
        words.append(_AFTER_TENS.get(ones, _DIGITS[ones]) if is_changed else _DIGITS[ones])
    return words
