"""Messages of others, shown without what names an account or signs them; words without plates.

A provider's body may be JSON with numbers, escapes and JSON inside its texts, a cut-off piece of
it, a form, or anything else: nothing is parsed that could fail, and every other character stays as
it came, for whoever looks for what was wrong with it.
"""

import json
import re
from typing import Final
from urllib.parse import unquote_plus

# CODE-token: whoever knows such an address may open what it leads to.
_TOKEN_IN_PATH: Final = re.compile(r"(/[2-9A-HJKMNP-TV-Z]{4}-)[A-Za-z0-9_-]{12,}")


# A number plate within words, however it is written: 29-D1 876.54, 30F12345, 80-123-NG-45,
# T29-123.45, TM 12-34. "10 xe 20000" and "CV1234" are none.
_GAP: Final = r"[\s.·-]{0,3}"
_FOREIGN: Final = "(?:NG|NN|QT|CV)"
_NUMBER: Final = r"(?:\d{3}[\s.]?\d{2}|\d{4})"
_PLATE: Final = re.compile(
    r"(?<![^\W_])(?:"
    rf"(?i:T\d{{2}}{_GAP}\d{{3}}\.?\d{{2}})"
    rf"|(?i:\d{{2}}{_GAP}(?!(?:xe|ve|kg|km)\b)[A-ZĐ]{{1,2}}\d?{_GAP}{_NUMBER})"
    rf"|(?i:\d{{2}}{_GAP}\d{{3}}{_GAP}{_FOREIGN}{_GAP}\d{{2,3}})"
    rf"|(?i:\d{{2}}{_GAP}{_FOREIGN}{_GAP}\d{{3}}{_GAP}\d{{2,3}})"
    r"|(?!CV|TT|KH|BB)[A-Z]{2}(?:[\s-]?\d{2}[.-]\d{2}|\d{4})"
    r")(?![^\W_]|-[0-9a-f]{4}-)"
)
# A reference of ours (payments/bills/references.py), whose end may be digits alone; or a number, in
# one piece or in groups: 1903 1234 5678 90.
_REFERENCE_OR_NUMBER: Final = re.compile(
    r"(?i:PP[ .-]?[2-9A-HJKMNP-TV-Z]{4}[ .-]?[2-9A-HJKMNP-TV-Z]{7})"
    r"|(?P<number>\d(?: ?\d)*)"
)
_ACCOUNT_DIGITS_MIN: Final = 8
_ACCOUNT_WORD: Final = re.compile(
    "account|acct|acc_?no|acc_?num|iban|so_?tk|stk|card_?num", re.IGNORECASE
)
_SEALS: Final = ("signature", "token", "secret")  # what a name ends in
# Strings (a cut-off one too), numbers and words, punctuation.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[^\s{}\[\]:,"]+|[{}\[\]:,]', re.DOTALL)
# name=value, name: value, <name>value, with or without quotes, as forms, XML and texts have them.
_PAIR: Final = re.compile(
    # Begun at a word's start only, so that a long word costs one pass and not one a letter.
    r"(?<![\w.\[\]-])(?P<name>[\w.\[\]-]{1,60})"
    r"(?P<between>[\"'\\]{0,4}\s{0,4}[=:>]\s{0,4}[\"'\\]{0,4})"
    r"(?P<value>[^&<>\"'\\;,\s{}\[\]]+)"
)
# An account number has 6 to 19 digits; in a text without names longer ones are taken for it.
_DIGITS: Final = re.compile(r"\d[\d ]{6,}\d")
_KNOWN_CHARS_MIN: Final = 6


def hide_sensitive(body: bytes) -> str:
    """Return a message as text: account numbers as their last four characters, no signatures."""
    text = _read(body)
    if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return _hide_in_json(text)
    if "%" in text or "+" in text:
        text = unquote_plus(text, errors="replace")
    return _DIGITS.sub(lambda found: mask_tail(found[0]), _hide_pairs(text))


def _read(body: bytes) -> str:
    encoding = json.detect_encoding(body) if b"\0" in body[:4] else "utf-8"
    return body.decode(encoding, errors="replace").replace("\0", "")


def _hide_in_json(text: str) -> str:
    """Go through the tokens, knowing under which key each stands."""
    written: list[str] = []
    known: set[str] = set()  # account numbers that were hidden: they are hidden elsewhere, too
    inherited: list[str] = []  # for each open bracket: the sensitive key it stands under, or ""
    key, at = "", 0
    tokens = list(_TOKEN.finditer(text))
    for i, token in enumerate(tokens):
        written.append(text[at : token.start()])
        at, word = token.end(), token[0]
        if word in "{[":
            inherited.append(key or (inherited[-1] if inherited else ""))
            key = ""
        elif word in "}]":
            key = ""
            if inherited:
                inherited.pop()
        elif word == ",":
            key = ""
        elif word != ":":
            if i + 1 < len(tokens) and tokens[i + 1][0] == ":":
                name = _decode(word)
                key = name if _is_sensitive(name) else ""
            else:
                word = _hide_value(word, key or (inherited[-1] if inherited else ""), known)
        written.append(word)
    shown = "".join(written) + text[at:]
    for number in sorted(known, key=len, reverse=True):
        shown = shown.replace(number, mask_tail(number))
    return shown


def _hide_value(word: str, key: str, known: set[str]) -> str:
    """Return a value's token as it is shown; `key` is "" where nothing is to be hidden."""
    value = _decode(word)
    if not key:
        if not word.startswith('"'):
            return word
        hidden = _hide_inside(value)
        return word if hidden == value else json.dumps(hidden, ensure_ascii=False)
    if word in ("null", "true", "false") or not value:
        return word
    if not _ACCOUNT_WORD.search(key):
        return '"…"'
    if len(value) >= _KNOWN_CHARS_MIN:
        known.add(value)
    return json.dumps(mask_tail(value), ensure_ascii=False)


def _hide_inside(value: str) -> str:
    """Hide what a text holds as JSON or a form of its own; plain words stay as they are."""
    if value.lstrip()[:1] in ("{", "["):
        return _hide_in_json(value)
    return _hide_pairs(value)


def _hide_pairs(text: str) -> str:
    def hide(found: re.Match[str]) -> str:
        if not _is_sensitive(found["name"]):
            return found[0]
        shown = mask_tail(found["value"]) if _ACCOUNT_WORD.search(found["name"]) else "…"
        return f"{found['name']}{found['between']}{shown}"

    return _PAIR.sub(hide, text)


def _decode(word: str) -> str:
    if not word.startswith('"'):
        return word.strip("'")
    try:
        return str(json.loads(word, strict=False))
    except ValueError:
        return word.strip('"')


def _is_sensitive(name: str) -> bool:
    plain = name.lower()
    is_seal = plain.endswith(_SEALS) or plain in ("sign", "password")
    return is_seal or _ACCOUNT_WORD.search(plain) is not None


def mask_tail(value: str, *, shown: int = 4) -> str:
    """Hide all but the last characters of an account number or a plate: "…6789"."""
    return f"…{value[-shown:]}" if len(value) > shown else "…"


def mask_path(path: str) -> str:
    """Hide the random token in an address: a log line must not open what it opens."""
    return _TOKEN_IN_PATH.sub(r"\1…", path)


def mask_plates(words: str) -> str:
    """Hide the middle of each number plate that a person wrote into words: "Xe 29D***54".

    Plates stand in few tables, so that they can be erased on request (docs/parking.md).
    """
    return _PLATE.sub(_hide_middle, words)


def mask_accounts(words: str) -> str:
    """Hide numbers as long as an account's in words of a payer: "CT tu …6789 PPDXA22345678".

    References of ours stay, and so do amounts and dates with points or strokes between.
    """

    def hide(found: re.Match[str]) -> str:
        digits = (found["number"] or "").replace(" ", "")
        return mask_tail(digits) if len(digits) >= _ACCOUNT_DIGITS_MIN else found[0]

    return _REFERENCE_OR_NUMBER.sub(hide, words)


def _hide_middle(found: re.Match[str]) -> str:
    plain = "".join(char for char in found[0] if char.isalnum())
    head = plain[:3] if plain[:2].isdigit() else ""
    return f"{head}***{plain[-2:]}"
