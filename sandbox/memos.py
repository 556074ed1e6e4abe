"""The changes that banks make to a memo between the payer's app and the receiver's statement.

Modelled on memos that receivers published (docs/sandbox.md lists the patterns): prefixes, suffixes,
inserted spaces, changed case, lost dashes, glued tokens, default memos. Every choice follows from
the seed and the transfer's ordinal, so a run can be repeated memo by memo.
"""

import unicodedata
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Final

from core.text import STROKED_D
from sandbox.bank import BANKS, Transit
from sandbox.ft_numbers import VIETNAM

# Bank apps refuse or cut longer texts; 210 is what NAPAS messages carry at most.
MEMO_CHARS_MAX: Final = 210


class Style(StrEnum):
    """How hard the banks are on memos."""

    AS_TYPED = "as_typed"  # nothing is changed: for tests about something else
    USUAL = "usual"  # wrapped, respaced, recased: the code can still be found
    LOSSY = "lossy"  # one in four is also replaced by a default, or lost


Grammar = Callable[[str, Transit, Random], str]


def mangle(transit: Transit, *, seed: int, style: Style) -> str:
    """Return the memo as the receiving bank writes it on its statement and in callbacks."""
    memo = to_bank_letters(transit.memo)[:MEMO_CHARS_MAX]
    if style is Style.AS_TYPED:
        return memo
    rng = Random(f"memo:{seed}:{transit.ordinal}")
    if not memo.strip():
        return default_memo(transit.payer_name)
    if style is Style.LOSSY and rng.random() < 0.25:
        return rng.choice((default_memo(transit.payer_name), "NODATA", ""))
    grammar = rng.choice(GRAMMARS[BANKS[transit.bin].code])
    return grammar(memo, transit, rng)


def default_memo(payer_name: str) -> str:
    """Return what apps fill in when the payer leaves the memo empty or the bank drops it."""
    return f"{payer_name} chuyen tien"


def to_bank_letters(memo: str) -> str:
    """Take Vietnamese accents and everything outside printable ASCII away, as NAPAS does."""
    plain = unicodedata.normalize("NFD", memo.translate(STROKED_D))
    return "".join(char for char in plain if " " <= char <= "~")


def insert_spaces(text: str, rng: Random, every: int = 19) -> str:
    """Break a text at a line width, as core systems do: the code in it is not spared."""
    offset = rng.randrange(1, every)
    pieces = [text[:offset]]
    pieces += [text[i : i + every] for i in range(offset, len(text), every)]
    return " ".join(piece for piece in pieces if piece)


def _digits(rng: Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def _masked(number: str) -> str:
    return f"{number[:2]}xxxxx{number[-3:]}" if len(number) > 5 else number


def _plain(memo: str, transit: Transit, rng: Random) -> str:
    return memo


def _acsp(rng: Random) -> str:
    mark = "".join(rng.choices("abcdefghkmnpqrstuvwxyz", k=2))
    return f"- Ma GD ACSP/ {mark}{_digits(rng, 6)}"


def _mb_acsp(memo: str, transit: Transit, rng: Random) -> str:
    return memo.replace("-", "") + _acsp(rng)


def _mb_qr(memo: str, transit: Transit, rng: Random) -> str:
    return f"QR   {memo.replace('-', '')}{_acsp(rng)}"


def _mb_qr_glued(memo: str, transit: Transit, rng: Random) -> str:
    return f"QR{memo}{_acsp(rng)} NG CHUYEN:CUSTOMER {_masked(transit.payer_number)}"


def _mb_thanh_toan(memo: str, transit: Transit, rng: Random) -> str:
    return f"Thanh toan QR-{memo} NG CHUYEN:CUSTOMER"


def _mb_name_first(memo: str, transit: Transit, rng: Random) -> str:
    return insert_spaces(f"{transit.payer_name} {memo} CHUYEN TIEN{_acsp(rng)}", rng)


def _mb_spaced(memo: str, transit: Transit, rng: Random) -> str:
    return insert_spaces(memo, rng, every=rng.choice((3, 4, 5)))


def _mb_ibft(memo: str, transit: Transit, rng: Random) -> str:
    trace = _digits(rng, 6)
    return f"IBFT {memo}   Ma giao dich  Trace{trace} Trace {trace}"


def _to_mb_from_vcb(memo: str, transit: Transit, rng: Random) -> str:
    wrapped = (
        f"MBVCB.{_digits(rng, 10)}.{_digits(rng, 6)}.{memo}"
        f".CT tu {_masked(transit.payer_number)} {transit.payer_name}"
        f" toi {_masked(transit.number)} {transit.holder} tai MB{_acsp(rng)}"
    )
    return insert_spaces(wrapped, rng, every=35)


def _vcb_lower(memo: str, transit: Transit, rng: Random) -> str:
    return f"MBVCB.{_digits(rng, 10)}.{memo.lower()}.CT tu {_masked(transit.payer_number)}"


def _vcb_spaced_tail(memo: str, transit: Transit, rng: Random) -> str:
    return f"{memo}.CT  tu   {_masked(transit.payer_number)}"


def _vcb_dotted(memo: str, transit: Transit, rng: Random) -> str:
    stamp = transit.at.astimezone(VIETNAM)
    return f"{_digits(rng, 6)}.{stamp:%d%m%y}.{stamp:%H%M%S}.{memo} chuyen {transit.reference}"


def _vtb_ct_den(memo: str, transit: Transit, rng: Random) -> str:
    return f"CT DEN:{_digits(rng, 12)} {memo}"


def _vtb_split_code(memo: str, transit: Transit, rng: Random) -> str:
    cut = min(5, len(memo))
    return f"CT DEN:{_digits(rng, 12)} {memo[:cut]} {memo[cut:]}".rstrip()


def _vtb_gd(memo: str, transit: Transit, rng: Random) -> str:
    return (
        f"CT DEN:{_digits(rng, 3)} {default_memo(transit.payer_name)} {memo} GD {_digits(rng, 6)}"
    )


def _bidv_tkthe(memo: str, transit: Transit, rng: Random) -> str:
    sender = BANKS[transit.payer_bin].name if transit.payer_bin in BANKS else "NAPAS"
    return (
        f"TKThe :{_masked(transit.payer_number)}, tai {sender}. ND {memo} "
        f"-CTLNHIDI0000{_digits(rng, 11)}-1/1-PMT-002"
    )


def _bidv_nhanh(memo: str, transit: Transit, rng: Random) -> str:
    return f"{memo.replace('-', '')}-CTLNhanh"


def _momo(memo: str, transit: Transit, rng: Random) -> str:
    return f"{memo}-CHUYEN TIEN-OQCH{_digits(rng, 8)}-MOMO{_digits(rng, 11)}MOMO"


def _acb_gd(memo: str, transit: Transit, rng: Random) -> str:
    stamp = transit.at.astimezone(VIETNAM)
    return f"{memo} GD {_digits(rng, 6)}-{stamp:%d%m%y} {stamp:%H:%M:%S}"


def _acb_upper(memo: str, transit: Transit, rng: Random) -> str:
    return _acb_gd(memo.upper().replace("-", " "), transit, rng)


def _tcb_ft(memo: str, transit: Transit, rng: Random) -> str:
    return f"{memo} {transit.reference}"


# Per receiving bank; a transfer from VCB to MB has a grammar of its own among MB's.
GRAMMARS: Final[dict[str, tuple[Grammar, ...]]] = {
    "MB": (
        _mb_acsp,
        _mb_qr,
        _mb_qr_glued,
        _mb_thanh_toan,
        _mb_name_first,
        _mb_spaced,
        _mb_ibft,
        _to_mb_from_vcb,
    ),
    "VCB": (_plain, _vcb_lower, _vcb_spaced_tail, _vcb_dotted),
    "VTB": (_vtb_ct_den, _vtb_split_code, _vtb_gd),
    "BIDV": (_bidv_tkthe, _bidv_nhanh, _momo),
    "ACB": (_plain, _acb_gd, _acb_upper, _momo),
    "TCB": (_plain, _tcb_ft),
}
