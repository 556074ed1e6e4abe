"""Surfaces: the folders of api/ that hold a surface's templates, words and static files."""

from pathlib import Path
from typing import Final

API: Final = Path(__file__).parents[1]
# What the surfaces share comes first; names of templates and words are unique over all of them.
SURFACES: Final = ("pages", "counter", "manage", "finance", "pay", "gate")
TEMPLATES: Final = tuple(API / name / "templates" for name in SURFACES)
WORDS: Final = tuple(API / name / "words" for name in SURFACES)
# api/static holds what all surfaces share, and what is built; a surface may have a folder beside.
STATIC: Final = (API / "static", *(API / name / "static" for name in SURFACES))
