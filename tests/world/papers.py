"""PDFs and workbooks that the hub wrote, read back."""

import io
from collections.abc import Iterator
from typing import Any
from zipfile import ZipFile

from lxml import etree
from pdfminer.high_level import extract_pages, extract_text
from pdfminer.layout import LTChar

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def text_of(pdf: bytes) -> str:
    """Return the text of a PDF with plain spaces."""
    return extract_text(io.BytesIO(pdf)).replace("\u00a0", " ")


def fonts_of(pdf: bytes) -> set[str]:
    """Return the families of the fonts that a PDF's letters are set in."""

    def find(item: Any) -> Iterator[str]:
        if isinstance(item, LTChar):
            yield item.fontname.split("+")[-1].split("-")[0]
        elif hasattr(item, "__iter__"):
            for one in item:
                yield from find(one)

    return {name for page in extract_pages(io.BytesIO(pdf)) for name in find(page)}


def cells_of(workbook: bytes) -> list[dict[str, str | float]]:
    """Return the cells of each sheet: {"B3": text or number}; a formula is an error."""
    with ZipFile(io.BytesIO(workbook)) as parts:
        texts = [
            "".join(part.text or "" for part in one.iter(f"{SHEET}t"))
            for one in etree.fromstring(parts.read("xl/sharedStrings.xml")).iter(f"{SHEET}si")
        ]
        sheets = sorted(name for name in parts.namelist() if name.startswith("xl/worksheets/sheet"))
        found = []
        for name in sheets:
            root = etree.fromstring(parts.read(name))
            assert not list(root.iter(f"{SHEET}f")), "a formula"
            assert not list(root.iter(f"{SHEET}hyperlink")), "a link"
            cells: dict[str, str | float] = {}
            for cell in root.iter(f"{SHEET}c"):
                value = cell.findtext(f"{SHEET}v")
                if value is not None:
                    is_text = cell.get("t") == "s"
                    cells[cell.get("r") or ""] = texts[int(value)] if is_text else float(value)
            found.append(cells)
    return found
