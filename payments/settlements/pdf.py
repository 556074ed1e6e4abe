"""Statements as PDF, set by typst: the same paper makes the same bytes.

Texts that people wrote are handed over as data and are never code. The template can read no file
but those beside it and no network; the font is embedded.
"""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

import typst

from payments.settlements.paper import Paper, as_json

TEMPLATE: Final = "settlement.typ"


def write_pdf(paper: Paper) -> bytes:
    """Write a statement as PDF; takes some tens of milliseconds of a thread."""
    root = Path(str(resources.files("payments.settlements"))).joinpath("template")
    written = typst.compile(
        root.joinpath(TEMPLATE),
        root=root,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"paper": as_json(paper)},
        timestamp=0,  # no time of writing: the statement says when it was approved
    )
    assert isinstance(written, bytes)
    return written


@cache
def _fonts() -> typst.Fonts:
    """Find Be Vietnam Pro (OFL-1.1), and no other font: a letter that it lacks is left out."""
    files = resources.files("fontpkg_be_vietnam_pro") / "files"
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(files)]
    )
