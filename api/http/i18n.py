"""The words of the screens in two languages: Vietnamese first, English beside it.

A catalogue is one TOML file per screen and language, api/counter/words/vi/counter.toml; its key
`paid` is asked for as "counter.paid". docs/adr/0003-two-languages-in-one-catalogue.md says why
gettext is not used.
"""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

from api.http.surfaces import WORDS

Language = Literal["vi", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
DEFAULT_LANGUAGE: Final[Language] = "vi"
LANGUAGE_COOKIE: Final = "phopay_lang"  # holds "vi" or "en"; set when a person uses the switch

_WEIGHT: Final = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")  # RFC 9110 §12.4.2


class Words:
    """All texts of one language, by key."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    @classmethod
    def load(cls, *folders: Path) -> "Words":
        """Read every TOML file of some folders; "counter.paid" is the key `paid` of counter.toml.

        Raises:
            ValueError: a value is not a text.
        """
        texts: dict[str, str] = {}
        for path in sorted(path for folder in folders for path in folder.glob("*.toml")):
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            _flatten(path.stem, table, texts)
        return cls(texts)

    def get(self, key: str, count: object = None) -> str:
        """Return the text of a key; with a count of one, its `.one` form where there is one.

        Raises:
            KeyError: the catalogue has no such key.
        """
        if count == 1 and f"{key}.one" in self.texts:
            return self.texts[f"{key}.one"]
        return self.texts[f"{key}.other"] if f"{key}.other" in self.texts else self.texts[key]


@cache
def words_in(lang: Language) -> Words:
    """Load a language once per process."""
    return Words.load(*(folder / lang for folder in WORDS))


def translate(lang: str, key: str, **values: object) -> str:
    """Say a text in a language, its {placeholders} filled in.

    An unknown language is answered in Vietnamese. A value named `count` also picks the form:
    English has `key.one` and `key.other`, Vietnamese needs only one text.

    Returns:
        Plain text: the template escapes it.

    Raises:
        KeyError: no such key, or a placeholder without its value.
    """
    known: Language = "en" if lang == "en" else DEFAULT_LANGUAGE
    return words_in(known).get(key, values.get("count")).format_map(values)


def pick_language(
    accept_language: str | None = None, cookie: str | None = None, query: str | None = None
) -> Language:
    """Choose the language of a page: the address's ?lang=, the cookie, then the browser's wish.

    Only an explicit wish for English above Vietnamese gives English (RFC 9110 §12.5.4):
    nothing, or languages we have not, gives Vietnamese.
    """
    for wanted in (query, cookie):
        for lang in LANGUAGES:
            if wanted == lang:
                return lang
    header = accept_language or ""
    return "en" if _wish_for("en", header) > _wish_for("vi", header) else DEFAULT_LANGUAGE


def _wish_for(lang: str, accept_language: str) -> float:
    """Return the highest q of a language in the header (en-GB counts for en), 0 if it is absent."""
    best = 0.0
    for part in accept_language.split(",")[:20]:
        name, _, weight = part.replace(" ", "").lower().partition(";")
        if name.split("-")[0] == lang and (q := _WEIGHT.fullmatch(weight or "q=1")):
            best = max(best, float(q[1]))
    return best


def _flatten(prefix: str, table: dict[str, object], texts: dict[str, str]) -> None:
    for name, value in table.items():
        key = f"{prefix}.{name}"
        if isinstance(value, dict):
            _flatten(key, value, texts)
        elif isinstance(value, str):
            texts[key] = value
        else:
            raise ValueError(f"{key} must be a text, not {value!r}")
