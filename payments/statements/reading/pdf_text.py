"""The text of a PDF, page by page: rows of words with their places. Lengths in tenths of a point.

pdfminer.six is Python throughout: a hostile file can raise anything and take its time, but it
cannot corrupt this process. What a stream or page may expand to is bounded here.
"""

import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final

from pdfminer import pdftypes
from pdfminer.pdfdevice import PDFTextDevice
from pdfminer.pdfdocument import PDFDocument, PDFEncryptionError, PDFPasswordIncorrect
from pdfminer.pdffont import PDFUnicodeNotDefined
from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
from pdfminer.pdfpage import PDFPage
from pdfminer.pdfparser import PDFParser
from pdfminer.pdftypes import PDFStream, resolve1

from payments.statements.reading.errors import Refusal, StatementError
from payments.statements.reading.types import StatementFormat

PAGES_MAX: Final = 5_000
PAGE_CHARS_MAX: Final = 50_000
PAGE_PARTS_MAX: Final = 10_000  # lines, boxes and forms drawn on one page
STREAM_BYTES_MAX: Final = 16 * 1024 * 1024  # a page has fifty thousand, a font a million
DRAWN_BYTES_MAX: Final = 256 * 1024 * 1024  # of all pages: what is drawn costs time
RULE_MIN: Final = 200  # a line under a cell of a table is longer

logging.getLogger("pdfminer").setLevel(logging.CRITICAL)  # it quotes the files it reads


class _BoundedZlib:
    """Stands for zlib inside pdfminer, which expands streams without any bound."""

    error = zlib.error

    @staticmethod
    def decompress(data: bytes) -> bytes:
        """Expand a stream as far as it is sound; too large a one is refused."""
        stream = zlib.decompressobj()
        expanded = stream.decompress(data, STREAM_BYTES_MAX)
        if stream.unconsumed_tail:
            raise StatementError(Refusal.EXPANDS_TOO_FAR, bytes_max=STREAM_BYTES_MAX)
        return expanded


def _refuse_lzw(data: bytes) -> bytes:
    """Refuse what no bank has written for twenty years, and expands a thousandfold."""
    raise StatementError(Refusal.EXPANDS_TOO_FAR, bytes_max=STREAM_BYTES_MAX)


# Every stream of a file passes these two names, also those that hold fonts and other objects.
vars(pdftypes).update(zlib=_BoundedZlib, lzwdecode=_refuse_lzw)


@dataclass(kw_only=True, slots=True)
class Words:
    """Words of one row that stand together, with gaps no wider than a letter."""

    text: str
    left: int
    right: int
    starts: list[
        tuple[int, int, int]
    ]  # of each word but the first: offset, its left, the end before

    def part(self, edges: set[int]) -> list["Words"]:
        """Part them where a word begins at one of these edges, or within two points of it."""
        for offset, left, before in self.starts:
            if any(abs(left - edge) <= 20 for edge in edges):
                head = replace(self, text=self.text[: offset - 1], right=before, starts=[])
                rest = [(at - offset, x, end) for at, x, end in self.starts if at > offset]
                tail = replace(self, text=self.text[offset:], left=left, starts=rest)
                return [head, *tail.part(edges)]
        return [self]


@dataclass(kw_only=True, slots=True)
class TextRow:
    """What stands on one base line, from left to right."""

    base: int  # above the lower edge of the page
    height: int  # of its letters
    words: list[Words]


@dataclass(kw_only=True, slots=True)
class TextPage:
    """One page: rows from its top, and where lines are drawn across."""

    number: int  # from 1
    rows: list[TextRow]
    rules: list[int] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class _Letter:
    text: str
    left: int
    right: int
    base: int
    height: int


def read_pages(file: BinaryIO) -> Iterator[TextPage]:
    """Yield the pages, one in memory at a time.

    Raises:
        StatementError: ENCRYPTED, DAMAGED, EXPANDS_TOO_FAR, TOO_MANY_ROWS or NO_TEXT.
    """
    has_text = False
    drawn_bytes = 0
    try:
        # Without the fallback: it makes up what a broken file lost, and half a statement is none.
        document = PDFDocument(PDFParser(file), fallback=False)
        device = _Device()
        interpreter = PDFPageInterpreter(device.resources, device)
        for number, page in enumerate(PDFPage.create_pages(document), 1):
            if number > PAGES_MAX:
                raise StatementError(Refusal.TOO_MANY_ROWS, rows_max=PAGES_MAX)
            device.start_over()
            kept = _compressed(page)
            interpreter.process_page(page)
            for stream, data in kept:
                drawn_bytes += len(stream.data or b"")
                stream.rawdata, stream.data = data, None
            if drawn_bytes > DRAWN_BYTES_MAX:
                raise StatementError(Refusal.EXPANDS_TOO_FAR, bytes_max=DRAWN_BYTES_MAX)
            rows = _rows(device.letters)
            has_text = has_text or bool(rows)
            yield TextPage(number=number, rows=rows, rules=sorted(set(device.rules), reverse=True))
    except StatementError:
        raise
    except (PDFPasswordIncorrect, PDFEncryptionError) as error:
        raise StatementError(Refusal.ENCRYPTED) from error
    except Exception as error:  # whatever broken bytes lead to: KeyError, RecursionError, …
        raise StatementError(Refusal.DAMAGED, format=StatementFormat.PDF) from error
    if not has_text:
        raise StatementError(Refusal.NO_TEXT)


def _compressed(page: PDFPage) -> list[tuple[PDFStream, bytes]]:
    """Return a page's streams as they lie in the file, to put them back after their use."""
    streams = [resolve1(one) for one in page.contents]
    return [(one, one.rawdata) for one in streams if isinstance(one, PDFStream) and one.rawdata]


class _Device(PDFTextDevice):
    """Takes the letters and the drawn lines of one page, in whatever order they are drawn."""

    def __init__(self) -> None:
        self.resources = PDFResourceManager()
        super().__init__(self.resources)
        self.start_over()

    def start_over(self) -> None:
        """Forget the last page."""
        self.letters: list[_Letter] = []
        self.rules: list[int] = []
        self._parts = 0

    def render_char(  # the arguments are pdfminer's
        self,
        matrix: Any,
        font: Any,
        fontsize: Any,
        scaling: Any,
        rise: Any,
        cid: int,
        ncs: Any,
        graphicstate: Any,
    ) -> Any:
        """Take one letter; returns how far the next one stands from it."""
        advance = font.char_width(cid) * fontsize * scaling
        try:
            text = font.to_unichr(cid)
        except PDFUnicodeNotDefined:
            return advance
        a, b, c, d, x, y = matrix
        is_upright = a > 0 and d > 0 and abs(b) < a and abs(c) < d  # no watermark across the page
        if text.strip() and is_upright:
            if len(self.letters) >= PAGE_CHARS_MAX:
                raise StatementError(Refusal.EXPANDS_TOO_FAR)
            self.letters.append(
                _Letter(
                    text=text,
                    left=round(10 * x),
                    right=round(10 * (x + a * advance)),
                    base=round(10 * (y + d * rise)),
                    height=max(1, round(10 * d * fontsize)),
                )
            )
        return advance

    def paint_path(
        self, graphicstate: Any, stroke: bool, fill: bool, evenodd: bool, path: Any
    ) -> None:
        """Take the upper and lower edge of a line or box as rules."""
        self._count()
        a, b, c, d, e, f = self.ctm or (1, 0, 0, 1, 0, 0)
        points = [one[-2:] for one in path if len(one) > 2]
        across = [round(10 * (a * x + c * y + e)) for x, y in points]
        up = [round(10 * (b * x + d * y + f)) for x, y in points]
        if points and max(across) - min(across) >= RULE_MIN:
            self.rules += {min(up), max(up)}

    def begin_figure(self, name: Any, bbox: Any, matrix: Any) -> None:
        """Count a form, which may hold itself."""
        self._count()

    def end_figure(self, name: Any) -> None:
        """Need nothing at a form's end."""

    def _count(self) -> None:
        self._parts += 1
        if self._parts > PAGE_PARTS_MAX:
            raise StatementError(Refusal.EXPANDS_TOO_FAR)


def _rows(letters: list[_Letter]) -> list[TextRow]:
    """Put letters into rows from the top, and words from the left."""
    rows: list[list[_Letter]] = []
    for letter in sorted(letters, key=lambda one: -one.base):
        if rows and rows[-1][0].base - letter.base <= rows[-1][0].height // 2:
            rows[-1].append(letter)
        else:
            rows.append([letter])
    return [
        TextRow(base=row[0].base, height=max(one.height for one in row), words=_words(row))
        for row in rows
    ]


def _words(row: list[_Letter]) -> list[Words]:
    words: list[Words] = []
    last: _Letter | None = None
    for letter in sorted(row, key=lambda one: one.left):
        # Bold letters are drawn twice by some.
        if last is not None and last.text == letter.text and letter.left - last.left < 5:
            continue
        gap = letter.left - last.right if last is not None else 0
        if not words or gap > letter.height:
            new = Words(text=letter.text, left=letter.left, right=letter.right, starts=[])
            words.append(new)
        else:
            one = words[-1]
            if 6 * gap > letter.height:
                one.text += " "
                one.starts.append((len(one.text), letter.left, one.right))
            one.text += letter.text
            one.right = letter.right
        last = letter
    return words
