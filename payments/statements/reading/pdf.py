"""Reader of PDF statements that have a text layer.

Columns are where the words of the heading stand, on each page anew. A line begins in a row with a
day; rows that have nothing but text go on with it: what stands between two drawn lines belongs
together, or, where none are drawn, what stands closer. A memo may go on over the end of a page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import BinaryIO, Final

from payments.statements.reading.cells import Row
from payments.statements.reading.chained import check_size
from payments.statements.reading.days import Moment, looks_like_day, read_moment
from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.headings import AMOUNTS, DATES, is_table, read_headings
from payments.statements.reading.pdf_text import TextPage, TextRow, Words, read_pages
from payments.statements.reading.rows import Source
from payments.statements.reading.survey import survey
from payments.statements.reading.table import TableReader
from payments.statements.reading.types import (
    ColumnMeaning,
    Item,
    Place,
    ReadingOptions,
    StatementFormat,
    StatementSummary,
)

HEADING_ROWS_MAX: Final = 3
# Rows are numbered by page and row together while the table's reader has them.
ROWS_A_PAGE_MAX: Final = 100_000
NUMBERS: Final = frozenset({*AMOUNTS, ColumnMeaning.BALANCE})
UNBROKEN: Final = frozenset(
    {ColumnMeaning.REFERENCE, ColumnMeaning.LINE_ID, ColumnMeaning.COUNTERPARTY_ACCOUNT}
)
AMOUNT: Final = re.compile(r"[-+(]?\d[\d.,]*\)?(?:\s?(?:VND|đ|₫))?\Z", re.ASCII)
CLOCK: Final = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?\Z", re.ASCII)
PAGE_NUMBER: Final = re.compile(r"(?:trang|page)\s*(?:số\s*)?\d+(?:\s*(?:/|of)\s*\d+)?\Z", re.I)


@dataclass(kw_only=True, slots=True)
class Column:
    """One column: where its heading stands."""

    left: int
    right: int
    heading: str
    meaning: ColumnMeaning | None = None


@dataclass(kw_only=True, slots=True)
class Record:
    """A row of the table, with the rows that go on with it."""

    number: int
    cells: list[str]  # of each column, as far as it was read
    is_full: list[bool]  # whether a column's last row was one word to the column's edge


class Kind(Enum):
    """What a row of a page is to the table; of its words, the first kind here decides."""

    DATED = "dated"  # begins a line
    SUM = "sum"  # amounts without a day
    TEXT = "text"  # a footer, a note, a balance in words
    LOOSE = "loose"  # nothing but text below the headings of texts: more of a line


def read_pdf(file: BinaryIO, options: ReadingOptions) -> Iterator[Item]:
    """Yield the lines of all pages, then one summary; a place is a page and its row."""
    check_size(file)
    thousands = survey(_read_rows(file), options)
    reader = TableReader(Source(format=StatementFormat.PDF), options, thousands)
    for item in reader.read(_read_rows(file)):
        if isinstance(item, StatementSummary):
            problems = [
                replace(one, place=_place(one.place)) if one.place else one for one in item.problems
            ]
            yield replace(item, problems=tuple(problems))
        else:
            yield replace(item, place=_place(item.place))


def _place(place: Place) -> Place:
    page, row = divmod(place.row, ROWS_A_PAGE_MAX)
    return Place(row=row, page=page)


def _read_rows(file: BinaryIO) -> Iterator[Row]:
    file.seek(0)
    table = _Table()
    for page in read_pages(file):
        yield from table.take(page)
    yield from table.finish()


class _Table:
    """The table of a document, as far as its pages were read."""

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self._record: Record | None = None
        self._is_spaced = False  # lines stand apart from one another
        self._edges: list[int] = []  # where the widest words of a column end on this page

    def take(self, page: TextPage) -> Iterator[Row]:
        """Yield the rows of a page; the last line is kept, since it may go on."""
        rows = list(enumerate(page.rows, page.number * ROWS_A_PAGE_MAX + 1))
        first, last, columns = _find_heading(page.rows)
        if columns and not self.columns:
            yield from (
                Row(number, [one.text for one in row.words]) for number, row in rows[:first]
            )
            yield Row(rows[first][0], [column.heading for column in columns])
        if columns:
            self.columns = columns
        if not self.columns:
            yield from (Row(number, [one.text for one in row.words]) for number, row in rows)
            return
        lefts = {column.left for column in self.columns}
        for row in page.rows[last:]:  # columns may stand closer than a letter is wide
            row.words = [part for words in row.words for part in words.part(lefts)]
        self._edges = [column.right for column in self.columns]
        for words in (one for row in page.rows[last:] for one in row.words):
            at = self._column_of(words)
            self._edges[at] = max(self._edges[at], words.right)
        blocks = _part(rows[last:], page.rules)
        dated = [any(self._kind(row) is Kind.DATED for _, row in block) for block in blocks]
        self._is_spaced = self._is_spaced or sum(dated) > 1
        for at, block in enumerate(blocks):
            yield from self._take_block(block, is_first=at == 0)

    def finish(self) -> Iterator[Row]:
        """Yield the last line."""
        if self._record is not None:
            yield Row(self._record.number, [*self._record.cells])
            self._record = None

    def _take_block(self, block: list[tuple[int, TextRow]], *, is_first: bool) -> Iterator[Row]:
        kinds = [self._kind(row) for _, row in block]
        above: list[TextRow] = []  # of the line below them
        goes_on = is_first and not (self._is_spaced and Kind.DATED in kinds)
        for (number, row), kind in zip(block, kinds, strict=True):
            if kind is Kind.DATED:
                if above and kinds.count(Kind.DATED) > 1:
                    # Days at the middle of their rows, and nothing says where a row ends: a memo
                    # beside the wrong amount would be worse than none.
                    raise StatementError(Refusal.UNKNOWN_FORMAT)
                yield from self.finish()
                width = len(self.columns)
                self._record = Record(number=number, cells=[""] * width, is_full=[False] * width)
                for one in (*above, row):
                    self._add(one)
                above, goes_on = [], True
            elif kind is Kind.LOOSE and goes_on and self._record is not None:
                self._add(row)
            elif kind is Kind.LOOSE and Kind.DATED in kinds:
                above.append(row)
            else:
                if kind is Kind.SUM:
                    yield from self.finish()
                cells = self._cells(row)
                yield Row(number, [" ".join(texts) for texts in cells])

    def _kind(self, row: TextRow) -> Kind:
        """Return the row's kind: a day makes a line; an amount without one, a sum."""
        kinds = {self._kind_of(words) for words in row.words}
        return next(kind for kind in Kind if kind in kinds)

    def _kind_of(self, words: Words) -> Kind:
        meaning = self.columns[self._column_of(words)].meaning
        if meaning in DATES:
            if CLOCK.match(words.text):
                return Kind.LOOSE
            return Kind.DATED if _is_day(words.text) else Kind.TEXT
        if meaning in NUMBERS:
            return Kind.SUM if AMOUNT.match(words.text) else Kind.TEXT
        is_more = meaning is not ColumnMeaning.ROW_NUMBER and not PAGE_NUMBER.match(words.text)
        return Kind.LOOSE if is_more else Kind.TEXT

    def _add(self, row: TextRow) -> None:
        """Go on with the record's cells. A word that had no room goes on without a space."""
        record = self._record
        assert record is not None
        more = self._cells(row)
        for words in row.words:
            at = self._column_of(words)
            if not more[at]:
                continue  # an earlier word of the same cell brought them all
            text = " ".join(more[at])
            meaning = self.columns[at].meaning
            is_one = record.is_full[at] or meaning in UNBROKEN
            space = " " if record.cells[at] and not is_one else ""
            record.cells[at] += space + text
            letter = max(1, (words.right - words.left) // len(words.text))
            has_room = self._edges[at] - words.right >= 2 * letter
            is_word = " " not in text and meaning is ColumnMeaning.MEMO
            record.is_full[at] = is_word and not has_room
            more[at] = []

    def _cells(self, row: TextRow) -> list[list[str]]:
        cells: list[list[str]] = [[] for _ in self.columns]
        for words in row.words:
            cells[self._column_of(words)].append(words.text)
        return cells

    def _column_of(self, words: Words) -> int:
        """Return the column that words stand in.

        Amounts end where their heading ends, or stand about its middle, so the nearest column of
        numbers has them. Other words begin below their heading, or to the right of its beginning.
        """
        under = [
            at
            for at, column in enumerate(self.columns)
            if words.left < column.right and column.left < words.right
        ]
        if AMOUNT.match(words.text):
            if under:
                return max(under, key=lambda at: _overlap(words, self.columns[at]))
            numbers = [at for at, column in enumerate(self.columns) if column.meaning in NUMBERS]
            if numbers:
                return min(numbers, key=lambda at: _distance(words, self.columns[at]))
        if under:
            return under[0]
        before = [at for at, column in enumerate(self.columns) if column.left <= words.left]
        return before[-1] if before else 0


def _is_day(text: str) -> bool:
    """Whether words begin with a day, or with what was meant to be one."""
    word = text.split(maxsplit=1)[0]
    if CLOCK.match(word):
        return False
    if isinstance(read_moment(word), Moment):
        return True
    return looks_like_day(word) and any(mark in word for mark in "/-")


def _overlap(words: Words, column: Column) -> int:
    return min(words.right, column.right) - max(words.left, column.left)


def _distance(words: Words, column: Column) -> int:
    middles = abs((words.left + words.right) - (column.left + column.right)) // 2
    return min(abs(words.right - column.right), abs(words.left - column.left), middles)


def _find_heading(rows: list[TextRow]) -> tuple[int, int, list[Column]]:
    """Return where the heading begins and ends on a page, and its columns; none: (0, 0, [])."""
    for first, row in enumerate(rows):
        best: list[Column] = []
        last = first
        for end in range(first + 1, min(first + HEADING_ROWS_MAX, len(rows)) + 1):
            group = rows[first:end]
            has_digits = any(one.isdigit() for words in group[-1].words for one in words.text)
            if has_digits or row.base - group[-1].base > 3 * HEADING_ROWS_MAX * row.height:
                break
            columns = _columns(group)
            known = _count_known(columns)
            # A row of the other language adds nothing and is a heading all the same.
            if known > _count_known(best) or _count_known(_columns(group[-1:])) > 1:
                best, last = columns, end
        if is_table(column.meaning for column in best if column.meaning):
            return first, last, best
    return 0, 0, []


def _count_known(columns: list[Column]) -> int:
    return sum(column.meaning is not None for column in columns)


def _columns(group: list[TextRow]) -> list[Column]:
    """Put the rows of a heading together: words above one another are of one column."""
    columns: list[Column] = []
    for row in group:
        for words in row.words:
            same = [one for one in columns if words.left < one.right and one.left < words.right]
            if len(same) == 1:
                one = same[0]
                one.heading += f"\n{words.text}"
                one.left, one.right = min(one.left, words.left), max(one.right, words.right)
            elif not same:
                new = Column(left=words.left, right=words.right, heading=words.text)
                columns.append(new)
    columns.sort(key=lambda one: one.left)
    for at, meaning in read_headings([one.heading for one in columns]).items():
        columns[at].meaning = meaning
    return columns


def _part(rows: list[tuple[int, TextRow]], rules: list[int]) -> list[list[tuple[int, TextRow]]]:
    """Part rows where a line is drawn between them; where none is, at gaps wider than others."""
    if not rows:
        return []
    gaps = [above.base - below.base for (_, above), (_, below) in pairwise(rows)]
    inside = [rule for rule in rules if rows[-1][1].base < rule < rows[0][1].base]
    least = min((gap for gap in gaps if 5 * gap >= 4 * rows[0][1].height), default=0)
    blocks = [[rows[0]]]
    for ((_, above), below), gap in zip(pairwise(rows), gaps, strict=True):
        if inside:
            is_apart = any(below[1].base < rule < above.base for rule in inside)
        else:
            is_apart = 4 * gap > 5 * least
        if is_apart:
            blocks.append([below])
        else:
            blocks[-1].append(below)
    return blocks
