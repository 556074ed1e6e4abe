"""Search by words as people type them on a phone: without case and without marks."""

from typing import Final

from sqlalchemy import ColumnElement, func, literal, literal_column

WORDS_MAX: Final = 8


def fold(text: ColumnElement[str]) -> ColumnElement[str]:
    """Fold a text in SQL: "co ba" finds "Cô Ba", "dong" finds "Đông"."""
    # Marks first: in a database whose locale is C, lower() knows the letters of ASCII only.
    plain = func.regexp_replace(
        func.normalize(text, literal_column("NFD")), "[\u0300-\u036f]", "", "g"
    )
    return func.lower(func.translate(plain, "đĐ", "dd"))


def has_words(shown: ColumnElement[str], find: str) -> list[ColumnElement[bool]]:
    """Return the conditions that a text has all these words; none for an empty search."""
    folded = fold(shown)
    return [func.strpos(folded, fold(literal(word))) > 0 for word in find.split()[:WORDS_MAX]]
