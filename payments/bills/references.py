"""References: the thirteen characters in a transfer's memo that name the bill.

`PP` + organisation code (4) + serial (6) + check character. Docs: docs/vietqr.md.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.text import STROKED_D

# Without 0 O 1 I L U: what people and fonts mix up, and what makes words.
ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
PREFIX: Final = "PP"
ORG_CODE_CHARS: Final = 4
SERIAL_CHARS: Final = 6
REFERENCE_CHARS: Final = len(PREFIX) + ORG_CODE_CHARS + SERIAL_CHARS + 1

SERIAL_COUNT: Final[int] = len(ALPHABET) ** SERIAL_CHARS  # 729,000,000 for each organisation code

# A bank's memo has at most some 500 characters; more is never looked at.
MEMO_CHARS_MAX: Final = 1_000

VALUE_OF: Final = {char: value for value, char in enumerate(ALPHABET)}
BASE: Final = len(ALPHABET)

# scramble() multiplies by this and adds that, modulo SERIAL_COUNT. The factor is near
# SERIAL_COUNT / golden ratio (neighbours land far apart) and shares no factor with 30, so each
# serial has its own place. Never change them: printed references would be made a second time.
SCRAMBLE_FACTOR: Final = 450_546_799
SCRAMBLE_SHIFT: Final = 271_828_183
HALF: Final[int] = BASE ** (SERIAL_CHARS // 2)
UNSCRAMBLE_FACTOR: Final = pow(SCRAMBLE_FACTOR, -1, SERIAL_COUNT)

# Organisation code → the first of its serials that was surely not given out yet.
NextSerials = Mapping[str, int]

ORG_CODE: Final = re.compile(rf"[{ALPHABET}]{{{ORG_CODE_CHARS}}}")
# A look-ahead, so that candidates may overlap: "PP" also stands inside codes and words.
CANDIDATE: Final = re.compile(rf"(?=({PREFIX}[{ALPHABET}]{{{REFERENCE_CHARS - len(PREFIX)}}}))")
# The same with U among the letters: Vietnamese keyboards make "Ư" of a W, and banks "U" of that.
CANDIDATE_WITH_U: Final = re.compile(
    rf"(?=({PREFIX}[{ALPHABET}U]{{{REFERENCE_CHARS - len(PREFIX)}}}))"
)
NOT_PLAIN: Final = re.compile(r"[^A-Z0-9]+")


class ReferenceRule(StrEnum):
    """How a reference was found; the first that holds is kept with the match."""

    MEMO_EXACT = "memo_exact"  # in the memo as it came
    MEMO_NORMALISED = "memo_normalised"  # in its letters and digits, upper-case


@dataclass(frozen=True, slots=True)
class FoundReference:
    """One reference that a memo names. Its check character is right; its bill may not exist."""

    reference: str
    org_code: str
    rule: ReferenceRule

    @property
    def serial(self) -> int:
        """The number of its bill within its organisation code."""
        return unscramble(_read_serial(self.reference[-SERIAL_CHARS - 1 : -1]))


def is_org_code(code: str) -> bool:
    """Whether four characters can name an organisation in a reference."""
    return ORG_CODE.fullmatch(code) is not None


def make_reference(org_code: str, serial: int) -> str:
    """Make the reference of the bill with this number within its organisation code.

    Args:
        org_code: four characters of ALPHABET.
        serial: from 0 up to SERIAL_COUNT - 1, each used once; see `scramble`.

    Returns:
        Thirteen characters, different for different arguments.
    """
    assert is_org_code(org_code)
    body = org_code + _write_serial(scramble(serial))
    return PREFIX + body + _find_check(body)


def scramble(serial: int) -> int:
    """Move a serial to its place among all serials; no two share one.

    Why: bills opened one after another would differ in two characters at the very end. Two
    people at one counter would mix them up, and anyone could read off how many bills a stall
    has. It hides nothing from who tries: references are public.
    """
    assert 0 <= serial < SERIAL_COUNT
    turned = (serial * SCRAMBLE_FACTOR + SCRAMBLE_SHIFT) % SERIAL_COUNT
    high, low = divmod(turned, HALF)
    # Affine steps alone let the last character run through in order; swapping the halves and
    # turning again lets every character depend on the whole serial.
    return ((low * HALF + high) * SCRAMBLE_FACTOR + SCRAMBLE_SHIFT) % SERIAL_COUNT


def unscramble(place: int) -> int:
    """Return the serial that `scramble` moves to this place."""
    assert 0 <= place < SERIAL_COUNT
    low, high = divmod((place - SCRAMBLE_SHIFT) * UNSCRAMBLE_FACTOR % SERIAL_COUNT, HALF)
    return (high * HALF + low - SCRAMBLE_SHIFT) * UNSCRAMBLE_FACTOR % SERIAL_COUNT


def is_given_out(found: FoundReference, next_serials: NextSerials) -> bool:
    """Tell whether an organisation may have given a reference out: others are words that look so.

    "TT QUA APP NGAN SANG 35K" holds PPNGANSANG35K with the right check character. Where NGAN is an
    organisation's code, that is its bill number 69,120,463: nobody's, until it has had so many.
    """
    return found.serial < next_serials.get(found.org_code, 0)


def check_reference(text: str) -> bool:
    """Whether this is a reference, exactly as we write it, whose check character is right."""
    return (
        len(text) == REFERENCE_CHARS
        and text.startswith(PREFIX)
        and VALUE_OF.keys() >= set(text)
        and _find_check(text[len(PREFIX) : -1]) == text[-1]
    )


def find_references(memo: str) -> list[FoundReference]:
    """Find the references in a memo, whatever banks did to it.

    First in the memo as it came, then in its letters and digits alone, upper-case: banks insert
    spaces and dots, change case, drop dashes and glue neighbours on. Full-width letters are read
    as plain ones and accents are dropped ("PPÁ…" as "PPA…": a Vietnamese keyboard's autocorrect);
    letters of other scripts are not guessed at. U and Ư, which no reference has, are read as W
    where the check character is right then: a Vietnamese keyboard writes Ư for a W.

    Returns:
        Distinct references in the order of the rules, then of the memo. More than one, rarely,
        is chance: the caller takes those whose bills exist, and asks a person if two do.
        Only the first MEMO_CHARS_MAX characters are looked at.
    """
    memo = memo[:MEMO_CHARS_MAX]
    found = dict.fromkeys(_list_candidates(memo), ReferenceRule.MEMO_EXACT)
    plain = _normalise(memo)
    for reference in _list_candidates(plain):
        found.setdefault(reference, ReferenceRule.MEMO_NORMALISED)
    if "U" in plain:
        for candidate in CANDIDATE_WITH_U.findall(plain):
            reference = candidate.replace("U", "W")
            if check_reference(reference):
                found.setdefault(reference, ReferenceRule.MEMO_NORMALISED)
    org_code = slice(len(PREFIX), len(PREFIX) + ORG_CODE_CHARS)
    return [FoundReference(text, text[org_code], rule) for text, rule in found.items()]


def read_reference(text: str | None) -> FoundReference | None:
    """Read a text that is one reference and nothing else, whatever its case and spaces around."""
    reference = (text or "").strip().upper()
    if not check_reference(reference):
        return None
    code = reference[len(PREFIX) : len(PREFIX) + ORG_CODE_CHARS]
    return FoundReference(reference, code, ReferenceRule.MEMO_EXACT)


def _list_candidates(text: str) -> list[str]:
    return [found for found in CANDIDATE.findall(text) if check_reference(found)]


def _normalise(memo: str) -> str:
    if not memo.isascii():
        memo = unicodedata.normalize("NFKD", memo.translate(STROKED_D))
    return NOT_PLAIN.sub("", memo.upper())


def _write_serial(serial: int) -> str:
    chars = []
    for _ in range(SERIAL_CHARS):
        serial, value = divmod(serial, BASE)
        chars.append(ALPHABET[value])
    return "".join(reversed(chars))


def _read_serial(chars: str) -> int:
    value = 0
    for char in chars:
        value = value * BASE + VALUE_OF[char]
    return value


def _find_check(body: str) -> str:
    """Return the check character of organisation code and serial: ISO 7064, hybrid MOD 31,30.

    Every wrong character is found, and 434 of 435 swaps of two neighbours.
    Source: ISO/IEC 7064, hybrid systems (as MOD 11,10 and MOD 37,36, here for 30 characters).
    """
    product = BASE
    for char in body:
        product = ((product + VALUE_OF[char]) % BASE or BASE) * 2 % (BASE + 1)
    return ALPHABET[(1 - product) % BASE]
