"""Findings and their tests: docs/findings.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/findings.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`")


def test_every_test_that_the_page_names_is_there() -> None:
    path, missing, count = "", [], 0
    for file, name in NAMED.findall(PAGE):
        path = file or path
        if not name and not file:
            continue
        count += 1
        source = ROOT / path
        if not source.exists() or (name and f"def {name}(" not in source.read_text()):
            missing.append(f"{path}::{name}")
    assert missing == []
    assert count > 50
