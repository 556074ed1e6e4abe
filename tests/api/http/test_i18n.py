"""The two languages say the same things, and a page picks the right one."""

import re
from string import Formatter

import pytest

from api.http.i18n import LANGUAGES, Words, pick_language, translate, words_in
from api.http.surfaces import TEMPLATES, WORDS

FORMS = re.compile(r"\.(one|other)$")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def by_key(words: Words) -> dict[str, set[str]]:
    """Key without its form → the placeholders that its texts use."""
    found: dict[str, set[str]] = {}
    for key, text in words.texts.items():
        found.setdefault(FORMS.sub("", key), set()).update(placeholders(text))
    return found


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    vietnamese, english = (by_key(words_in(lang)) for lang in LANGUAGES)
    assert vietnamese == english


def test_no_text_is_empty() -> None:
    for lang in LANGUAGES:
        assert [key for key, text in words_in(lang).texts.items() if not text.strip()] == []


def test_every_word_that_a_template_asks_for_is_in_the_catalogue() -> None:
    asked = {
        key
        for folder in TEMPLATES
        for path in folder.rglob("*.html")
        for key in re.findall(r"""\bt\(["']([\w.]+)["'](?!\s*~)""", path.read_text("utf-8"))
    }
    assert asked
    assert asked <= set(by_key(words_in("vi")))


def test_placeholders_are_filled_and_unknown_keys_are_errors() -> None:
    assert translate("en", "parts.copy_what", what="Amount") == "Copy: Amount"
    with pytest.raises(KeyError):
        translate("vi", "parts.no_such_word")
    with pytest.raises(KeyError):
        translate("vi", "parts.copy_what")


def test_count_of_one_takes_its_own_form_where_a_language_has_one() -> None:
    words = Words({"a.n.one": "{count} payment", "a.n.other": "{count} payments"})
    assert [words.get("a.n", count) for count in (0, 1, 2)] == [
        "{count} payments",
        "{count} payment",
        "{count} payments",
    ]


def test_every_file_is_there_in_both_languages() -> None:
    files = [
        {path.name for folder in WORDS for path in (folder / lang).glob("*.toml")}
        for lang in LANGUAGES
    ]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("accept_language", "cookie", "query", "lang"),
    [
        (None, None, None, "vi"),
        ("vi-VN,vi;q=0.9,en;q=0.8", None, None, "vi"),
        ("en-GB,en;q=0.9", None, None, "en"),
        ("en;q=0.5, vi;q=0.9", None, None, "vi"),
        ("fr-FR,fr;q=0.9", None, None, "vi"),
        ("fr, en;q=0.3", None, None, "en"),
        ("en;q=banana", None, None, "vi"),
        ("en;q=nan", None, None, "vi"),
        ("vi", "en", None, "en"),
        ("en", "en", "vi", "vi"),
        ("en", "xx", "<script>", "en"),
    ],
)
def test_page_is_answered_in_the_language_that_was_pulled_for(
    accept_language: str | None, cookie: str | None, query: str | None, lang: str
) -> None:
    assert pick_language(accept_language, cookie, query) == lang
