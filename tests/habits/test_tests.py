"""Habits of the tests themselves: sentences for names, and marks that choose what runs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
WORDS_MIN = 3


def read_tests() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        yield path, ast.parse(path.read_text())


def test_every_test_is_named_by_a_sentence() -> None:
    short = [
        f"{path.name}: {node.name}"
        for path, tree in read_tests()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and len(node.name.split("_")) <= WORDS_MIN
    ]
    assert short == []


def test_every_file_with_the_browser_or_a_server_of_its_own_is_marked() -> None:
    """Whatever uses conftest's database is marked by itself; these start without it."""
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        if "chosen_binaries" in text and path != Path(__file__):
            assert "pytest.mark.database" in text, path.name
        if path.parent.name == "browser":
            assert "pytest.mark.browser" in text, path.name


def test_no_test_waits_for_a_promise_that_is_a_yes_by_being_there() -> None:
    """Page.wait_for_function returns at once: an asynchronous function answers with a promise."""
    waits = re.compile(r"wait_for_function\(\s*f?[\"']+\s*async\b")
    assert [path.name for path in TESTS.rglob("*.py") if waits.search(path.read_text())] == []
